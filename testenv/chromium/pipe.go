package chromium

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// A message of the DevTools protocol: a command, its result, or an event.
type message struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// pipe is the connection with a browser.
type pipe struct {
	in, out *os.File
	ended   chan struct{} // closed when the browser is gone

	mu      sync.Mutex // guards what follows, and writing
	last    int
	waiting map[int]chan message
	events  func(message)
}

func newPipe(in, out *os.File) *pipe {
	p := &pipe{in: in, out: out, ended: make(chan struct{}), waiting: map[int]chan message{}}
	go p.read() // ends with the browser, or with close
	return p
}

func (p *pipe) close() {
	p.out.Close()
	<-p.ended
	p.in.Close()
}

func (p *pipe) read() {
	defer close(p.ended)
	for r := bufio.NewReader(p.in); ; {
		b, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(b[:len(b)-1], &m) != nil {
			return
		}
		p.mu.Lock()
		waiter, events := p.waiting[m.ID], p.events
		delete(p.waiting, m.ID)
		p.mu.Unlock()
		switch {
		case waiter != nil:
			waiter <- m
		case events != nil:
			events(m)
		}
	}
}

var errGone = errors.New("the browser is gone")

// call sends a command and reads its result into result, if that is not nil.
func (p *pipe) call(session, method string, params, result any) error {
	b, err := json.Marshal(params)
	if err != nil {
		return err
	}
	answer := make(chan message, 1)
	p.mu.Lock()
	p.last++
	command, err := json.Marshal(message{ID: p.last, SessionID: session, Method: method, Params: b})
	if err == nil {
		p.waiting[p.last] = answer
		_, err = p.out.Write(append(command, 0))
	}
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-p.ended:
		return fmt.Errorf("%s: %w", method, errGone)
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer", method)
	}
}

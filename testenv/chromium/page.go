package chromium

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A Page is a tab.
type Page struct {
	t       testing.TB
	pipe    *pipe
	session string
	host    string // that requests may go to

	mu     sync.Mutex // guards faults
	faults []string
	allow  []string
}

type object = map[string]any

// Open opens a tab and waits until the page is loaded.
func (b *Browser) Open(address string) *Page {
	b.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &Page{t: b.t, pipe: b.pipe, host: u.Host}
	var target struct{ TargetID string }
	p.must("Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	p.must("Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	b.pipe.mu.Lock()
	b.pipe.events = p.note
	b.pipe.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.must(domain+".enable", object{}, nil)
	}
	b.t.Cleanup(p.check)
	p.must("Page.navigate", object{"url": address}, nil)
	p.Wait(`location.href != "about:blank" && document.readyState == "complete"`)
	return p
}

func (p *Page) must(method string, params, result any) {
	p.t.Helper()
	if err := p.pipe.call(p.session, method, params, result); err != nil {
		p.t.Fatalf("chromium: %v", err)
	}
}

// note keeps what a good page does not do.
func (p *Page) note(m message) {
	fault := ""
	switch m.Method {
	case "Runtime.exceptionThrown":
		fault = "exception: " + string(m.Params)
	case "Log.entryAdded":
		var e struct {
			Entry struct{ Level, Text, URL string }
		}
		if json.Unmarshal(m.Params, &e) == nil && (e.Entry.Level == "error" || strings.Contains(e.Entry.Text, "Content Security Policy")) {
			fault = fmt.Sprintf("log: %s (%s)", e.Entry.Text, e.Entry.URL)
		}
	case "Runtime.consoleAPICalled":
		fault = "console: " + string(m.Params)
	case "Network.requestWillBeSent":
		var e struct {
			Request struct{ URL string }
		}
		if json.Unmarshal(m.Params, &e) == nil {
			if u, err := url.Parse(e.Request.URL); err != nil || u.Host != p.host && u.Scheme != "data" && u.Scheme != "about" {
				fault = "request to " + e.Request.URL
			}
		}
	}
	if fault != "" {
		p.mu.Lock()
		p.faults = append(p.faults, fault)
		p.mu.Unlock()
	}
}

// Allow names a part of faults that the test provokes.
func (p *Page) Allow(part string) {
	p.mu.Lock()
	p.allow = append(p.allow, part)
	p.mu.Unlock()
}

// check fails the test for what the page did wrong.
func (p *Page) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		if !slices.ContainsFunc(p.allow, func(part string) bool { return strings.Contains(f, part) }) {
			p.t.Errorf("the page did what it must not: %s", f)
		}
	}
}

// Eval evaluates an expression in the page, which may be a promise, and reads
// its value into result, if that is not nil.
func (p *Page) Eval(expression string, result any) {
	p.t.Helper()
	if err := p.eval(expression, result); err != nil {
		p.t.Fatalf("chromium: %s: %v", expression, err)
	}
}

func (p *Page) eval(expression string, result any) error {
	var answer struct {
		Result struct {
			Value json.RawMessage
		}
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := p.pipe.call(p.session, "Runtime.evaluate", object{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer)
	switch {
	case err != nil:
		return err
	case answer.ExceptionDetails != nil:
		return fmt.Errorf("%s %s", answer.ExceptionDetails.Text, answer.ExceptionDetails.Exception.Description)
	case result == nil:
		return nil
	}
	return json.Unmarshal(answer.Result.Value, result)
}

// Text is the text of the first element that a selector finds.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	var text string
	p.Eval(fmt.Sprintf("document.querySelector(%q)?.textContent ?? ''", selector), &text)
	return text
}

// Wait waits until a condition holds in the page. It is looked at whenever the
// document changes.
func (p *Page) Wait(condition string) {
	p.t.Helper()
	expression := fmt.Sprintf(`new Promise((done) => {
		const look = () => { if (%s) { watch.disconnect(); clearInterval(timer); done(true); } };
		const watch = new MutationObserver(look);
		watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
		const timer = setInterval(look, 100); // properties change without a trace
		look();
	})`, condition)
	err := p.eval(expression, nil)
	for err != nil && strings.Contains(err.Error(), "navigated") { // by a page that was loaded meanwhile
		err = p.eval(expression, nil)
	}
	if err != nil {
		var text string
		_ = p.eval("document.body.innerText", &text) // it is only to help with the failure
		p.t.Fatalf("chromium: wait for %s: %v; the page shows\n%s", condition, err, text)
	}
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.Eval("window.before = true", nil)
	p.must("Page.reload", object{}, nil)
	p.Wait(`!window.before && document.readyState == "complete"`)
}

// Click clicks with the mouse on the middle of an element, after scrolling to it.
func (p *Page) Click(selector string) {
	p.t.Helper()
	var at struct{ X, Y float64 }
	p.Eval(fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.scrollIntoView({ block: "center" });
		const r = e.getBoundingClientRect();
		return { X: r.x + r.width / 2, Y: r.y + r.height / 2 };
	})()`, selector), &at)
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		button := "left"
		if kind == "mouseMoved" {
			button = "none"
		}
		p.must("Input.dispatchMouseEvent", object{"type": kind, "x": at.X, "y": at.Y, "button": button, "clickCount": 1}, nil)
	}
}

// Type types a text where the focus is.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.must("Input.insertText", object{"text": text}, nil)
}

// keys are those that tests press, with what the protocol wants to know of them.
var keys = map[string]object{
	"Enter":  {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
	"Escape": {"key": "Escape", "code": "Escape", "windowsVirtualKeyCode": 27},
	"Tab":    {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
	"Space":  {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "text": " "},
}

// Press presses a key: Enter, Escape, Tab or Space.
func (p *Page) Press(key string) {
	p.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		event := object{"type": kind}
		for name, value := range keys[key] {
			if kind == "keyDown" || name != "text" {
				event[name] = value
			}
		}
		p.must("Input.dispatchKeyEvent", event, nil)
	}
}

// Resize makes the window so many pixels wide and high, with a color scheme:
// light or dark.
func (p *Page) Resize(width, height int, scheme string) {
	p.t.Helper()
	p.must("Emulation.setDeviceMetricsOverride", object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	p.must("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Screenshot writes what the window shows into a PNG file.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	var shot struct{ Data []byte }
	p.must("Page.captureScreenshot", object{"format": "png"}, &shot)
	if err := os.WriteFile(path, shot.Data, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

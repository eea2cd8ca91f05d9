package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// MoverActivity is what a copytool does at one moment. All but the first three fields
// is what it says at its /status. Sizes are in bytes.
type MoverActivity struct {
	URL       string `json:"url"`
	Reachable bool   `json:"reachable"`
	Error     string `json:"error,omitempty"` // why it is not

	Version           string          `json:"version"`
	FileSystem        string          `json:"fileSystem"`
	Mount             string          `json:"mount"`
	MemoryInUse       int64           `json:"memoryInUse"`
	MemoryLimit       int64           `json:"memoryLimit"`
	RequestsInFlight  int             `json:"requestsInFlight"`
	RequestsLimit     int             `json:"requestsLimit"`
	Serving           bool            `json:"serving"`
	Draining          bool            `json:"draining"`
	Lanes             []MoverLane     `json:"lanes"`
	SentPerSecond     float64         `json:"sentPerSecond"`
	ReceivedPerSecond float64         `json:"receivedPerSecond"`
	EndedPerSecond    float64         `json:"endedPerSecond"`
	Actions           []RunningAction `json:"actions"`
	ActionsLeftOut    int             `json:"actionsLeftOut"`
	Failures          []FailedAction  `json:"failures"`
}

// MoverLane is how many actions of a kind a copytool has.
type MoverLane struct {
	Op            string  `json:"op"`
	Running       int     `json:"running"`
	Limit         int     `json:"limit"`
	Waiting       int     `json:"waiting"`
	Parked        int     `json:"parked"`
	Unreported    int     `json:"unreported"`
	OldestSeconds float64 `json:"oldestSeconds"`
}

// RunningAction is an action that a copytool has begun. Path is empty until it is
// known, and where the copytool does not tell it to us.
type RunningAction struct {
	Op             string  `json:"op"`
	FID            string  `json:"fid"`
	Cookie         string  `json:"cookie"`
	Path           string  `json:"path"`
	State          string  `json:"state"` // running, parked, ending
	Bytes          int64   `json:"bytes"`
	Size           int64   `json:"size"`
	BytesPerSecond float64 `json:"bytesPerSecond"`
	Seconds        float64 `json:"seconds"`
	Urgent         bool    `json:"urgent"`
	Adopted        bool    `json:"adopted"`
}

// FailedAction is an action that ended badly.
type FailedAction struct {
	Time    time.Time `json:"time"`
	Op      string    `json:"op"`
	FID     string    `json:"fid"`
	Path    string    `json:"path"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
}

// MoverList is what all copytools do.
type MoverList struct {
	Movers []MoverActivity `json:"movers"`
}

// AskMovers asks copytools what they do, all at once. Each address is that of the
// copytool's /metrics, or of what is beside it. token is what --http-token-file of the
// copytools has; empty: none. Who does not answer is asked until ctx ends.
func AskMovers(ctx context.Context, addresses []string, token string) []MoverActivity {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	found := make([]MoverActivity, len(addresses))
	var all sync.WaitGroup
	for i, address := range addresses {
		all.Go(func() { found[i] = askMover(ctx, client, address, token) })
	}
	all.Wait()
	return found
}

func askMover(ctx context.Context, client *http.Client, address, token string) MoverActivity {
	m, err := fetchActivity(ctx, client, statusAddress(address), token)
	m.URL, m.Reachable = redacted(address), err == nil
	if err != nil {
		m = MoverActivity{URL: m.URL, Error: strings.ReplaceAll(err.Error(), statusAddress(address), m.URL)}
	}
	// In JSON an empty list is no null.
	m.Lanes, m.Actions, m.Failures = notNil(m.Lanes), notNil(m.Actions), notNil(m.Failures)
	return m
}

// statusAddress is where a copytool says what it does, beside its metrics.
func statusAddress(address string) string {
	address = strings.TrimSuffix(strings.TrimRight(address, "/"), "/metrics")
	return strings.TrimSuffix(address, "/status") + "/status"
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func fetchActivity(ctx context.Context, client *http.Client, address, token string) (m MoverActivity, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return m, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		return m, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return m, fmt.Errorf("it does not know the token; give that of its --http-token-file")
	default:
		return m, fmt.Errorf("it answers %s", answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, moverBody)).Decode(&m); err != nil {
		return m, fmt.Errorf("its answer is none of a copytool's: %w", err)
	}
	return m, nil
}

func (s *Server) activity(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.movers.client.Timeout)
	defer cancel()
	return writeJSON(w, http.StatusOK, MoverList{AskMovers(ctx, s.o.Movers, s.o.MoverToken)})
}

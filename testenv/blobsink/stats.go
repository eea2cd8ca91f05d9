package blobsink

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

const (
	statsPath = "/-/stats"
	opStats   = "stats" // no request of a client
)

// StatsURL is where the counts are.
func (s *Server) StatsURL() string { return strings.TrimSuffix(s.URL, accountPath) + statsPath }

// FetchStats gets the counts of the sink with that [Server.StatsURL].
func FetchStats(ctx context.Context, url string) (st Stats, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return st, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return st, fmt.Errorf("get the counts of the sink: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil {
		return st, fmt.Errorf("read the counts of the sink: %w", err)
	}
	return st, nil
}

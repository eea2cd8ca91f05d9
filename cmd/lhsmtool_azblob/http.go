package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/copytool"
)

// httpPatience is how long one request may take: who asks slowly, or does not
// listen, must not hold on to memory for good.
const httpPatience = 10 * time.Second

// watched is what there is to be seen of: a *copytool.Agent.
type watched interface {
	Status() copytool.Status
	Activity() copytool.Activity
}

// A face is what is to be seen of the copytool over HTTP.
type face struct {
	agent   watched
	metrics *copytool.Metrics
	pool    *blobstore.Pool
	mount   *copytool.Mount
	token   string // of who may see paths from other machines; empty: nobody may
	log     *slog.Logger
}

// show serves /metrics, /healthz and /status until stop is called. An empty address
// is none.
func (f *face) show(address string) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--http %s: %w; give host:port of this machine that is free", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(f.metrics.Gatherer(), promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { health(w, f.agent.Status()) })
	mux.HandleFunc("GET /status", f.status)
	server := &http.Server{
		Handler: mux, ErrorLog: slog.NewLogLogger(f.log.Handler(), slog.LevelDebug),
		ReadTimeout: httpPatience, WriteTimeout: httpPatience, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	done := make(chan struct{})
	go func() { // stop waits for it
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			f.log.Error("serve HTTP", "address", address, "err", err)
		}
	}()
	f.log.Info("serving HTTP", "address", listener.Addr().String())
	return func() {
		_ = server.Close() // what it could say is that the listener is closed already
		<-done
	}, nil
}

// health answers 200 while actions are accepted, and 503 while the copytool
// drains or has lost its registration.
func health(w http.ResponseWriter, st copytool.Status) {
	w.Header().Set("Content-Type", "application/json")
	if !st.Serving {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(st)
}

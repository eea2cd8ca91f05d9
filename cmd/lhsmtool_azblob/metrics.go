package main

import (
	"lhsm-azblob/blobstore"
	"lhsm-azblob/copytool"
)

// watchPool adds to the metrics what all containers share.
func watchPool(m *copytool.Metrics, pool *blobstore.Pool) {
	for _, g := range []struct {
		name, help string
		read       func() float64
	}{
		{"memory_in_use_bytes", "Bytes of transfer buffers in use.", func() float64 { return float64(pool.MemoryInUse()) }},
		{"memory_limit_bytes", "Bytes that transfer buffers may take (--memory).", func() float64 { return float64(pool.MemoryLimit()) }},
		{"blob_requests_in_flight", "HTTP requests to Blob storage under way.", func() float64 { return float64(pool.RequestsInFlight()) }},
		{"blob_requests_limit", "HTTP requests that may be under way: --transfers, fewer while the processors are busy or with a low --bandwidth.", func() float64 { return float64(pool.RequestsLimit()) }},
	} {
		m.Watch(g.name, g.help, g.read)
	}
}

// watchCredentials adds the end of the credentials.
func watchCredentials(m *copytool.Metrics, e expiries) {
	m.Watch("credential_expiry_timestamp_seconds", "Unix time at which the first SAS ends; +Inf without one that has an end.", e.firstEnd)
}

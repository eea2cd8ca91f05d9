package main

import (
	"log/slog"
	"os"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/cmd/internal/otlp"
	"lhsm-azblob/copytool"
)

// startTraces starts sending traces to a collector; with an empty address it does not.
func startTraces(endpoint string, mount *copytool.Mount, m *copytool.Metrics, log *slog.Logger) (trace func(copytool.Trace), stop func(), err error) {
	if endpoint == "" {
		return nil, func() {}, nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // it is only a label
	}
	address, err := traceAddress(endpoint)
	if err != nil {
		return nil, nil, err
	}
	e := otlp.Start(otlp.Options{
		Address: address, Name: programName, Version: version, Log: log,
		Resource: []otlp.Attribute{{Key: "host.name", Value: host}, {Key: "lhsm.fsname", Value: mount.FSName}, {Key: "lhsm.mount", Value: mount.Root}},
	})
	m.Count("traces_dropped_total", "Traces that the collector of --trace-endpoint did not take in time.", e.Dropped)
	return func(t copytool.Trace) { e.Export(spansOf(t)) }, e.Close, nil
}

// traceAddress is where the collector takes traces.
func traceAddress(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	address, err := otlp.Address(endpoint)
	if err != nil {
		return "", options.Usagef("--trace-endpoint: %w", err)
	}
	return address, nil
}

// spansOf is an action as a span, and below it one for each of its requests.
func spansOf(t copytool.Trace) []otlp.Span {
	trace, root := otlp.NewTraceID(), otlp.NewSpanID()
	spans := make([]otlp.Span, 0, 1+len(t.Requests))
	spans = append(spans, otlp.Span{
		TraceID: trace, ID: root, Name: t.Op, Kind: otlp.Internal, Start: t.Start, End: t.End, Error: t.Message,
		Attributes: []otlp.Attribute{
			{Key: "lhsm.code", Value: string(t.Code)},
			{Key: "lhsm.fid", Value: t.FID},
			{Key: "lhsm.cookie", Value: t.Cookie},
			{Key: "lhsm.path", Value: t.Path},
			{Key: "lhsm.blob", Value: t.Blob},
			{Key: "lhsm.bytes", Value: t.Bytes},
			{Key: "lhsm.waited_ms", Value: t.Waited.Milliseconds()},
			{Key: "lhsm.adopted", Value: t.Adopted},
			{Key: "lhsm.requests_left_out", Value: int64(t.RequestsLeftOut)},
		},
	})
	for _, r := range t.Requests {
		s := spanOf(r)
		s.TraceID, s.ID, s.Parent = trace, otlp.NewSpanID(), root
		spans = append(spans, s)
	}
	return spans
}

// spanOf has the names of azcore for the two request ids.
func spanOf(r blobstore.RequestEvent) otlp.Span {
	s := otlp.Span{
		Name: r.Op, Kind: otlp.Client, Start: r.Started, End: r.Started.Add(r.Duration),
		Attributes: []otlp.Attribute{
			{Key: "az.service_request_id", Value: r.RequestID},
			{Key: "az.client_request_id", Value: r.ClientRequestID},
			{Key: "http.response.status_code", Value: int64(r.Status)},
			{Key: "http.request.body.size", Value: r.Sent},
			{Key: "http.response.body.size", Value: r.Received},
			{Key: "http.request.resend_count", Value: int64(r.Try - 1)},
		},
	}
	switch {
	case r.Err != nil:
		s.Error = r.Err.Error()
	case r.Status >= 400:
		s.Error = r.Code
		s.Attributes = append(s.Attributes, otlp.Attribute{Key: "error.type", Value: r.Code})
	}
	return s
}

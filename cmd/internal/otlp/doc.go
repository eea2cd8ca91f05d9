// Package otlp sends spans to an OpenTelemetry collector, as OTLP over HTTP with
// JSON, which every collector takes at port 4318.
//
// It is the whole of what this program needs of OpenTelemetry: spans that are
// complete when they are made, in batches, to one address. The SDK and its exporter
// would bring gRPC and protobuf with them for the same bytes.
//
// Nothing waits for a collector. What it does not take in time is dropped and
// counted ([Exporter.Dropped]): traces are for looking at, and work goes on without.
package otlp

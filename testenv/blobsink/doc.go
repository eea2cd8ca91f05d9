// Package blobsink is a Blob service for benchmarks: it takes what it is sent,
// counts it and forgets it, and gives back as many bytes as it took.
//
// It is made to cost as little CPU as it can, so that a benchmark on one machine
// measures the client. It speaks HTTP/1.1 by itself; bodies that come in are
// dropped inside the kernel (recv with MSG_TRUNC), bodies that go out are sent
// from a file in memory (sendfile). With TLS both pass through Go.
//
// It remembers of each blob its length, ETag, metadata and properties, and
// honours If-Match and If-None-Match. It does not check signatures or checksums.
// What it gives back is zeros or, so that checksums hold, a pattern that
// [Fill.Reader] and [Fill.WriteTo] can make input files of.
//
// Requests served: Put Blob, Put Block, Put Block List, Get Block List (of what is
// committed), Get Blob, Get Blob Properties, Set Blob Metadata, Delete Blob, Copy
// Blob, and List Blobs.
// GET /-/stats gives the [Stats] as JSON; it is no request that they count.
package blobsink

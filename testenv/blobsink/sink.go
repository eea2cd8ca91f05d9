package blobsink

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
)

// blob is what is remembered of a blob.
type blob struct {
	size     int64
	etag     string
	modified time.Time
	headers  map[string]string // x-ms-meta-*, tier, content type, as answers have them
	blocks   []listedBlock     // of its block list; none after a Put Blob
}

// listedBlock is a block in a block list.
type listedBlock struct {
	Name string // the ID
	Size int64
}

// Stats counts what has happened.
type Stats struct {
	Requests map[string]int64 // by operation
	BytesIn  int64            // of bodies
	BytesOut int64
	Blobs    int
}

// Sink is the state of the service.
type Sink struct {
	fill    *source
	latency time.Duration

	mu     sync.Mutex // guards what follows
	blobs  map[string]*blob
	blocks map[string]map[string]int64 // staged: path, then block ID; the length
	etags  int64
	stats  Stats
}

// New makes a service without blobs. Every answer is held back for latency.
func New(fill Fill, latency time.Duration) (*Sink, error) {
	s, err := newSource(fill)
	if err != nil {
		return nil, err
	}
	return &Sink{
		fill: s, latency: latency,
		blobs: map[string]*blob{}, blocks: map[string]map[string]int64{},
		stats: Stats{Requests: map[string]int64{}},
	}, nil
}

// Stats returns the counts so far.
func (s *Sink) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Requests = maps.Clone(st.Requests)
	st.Blobs = len(s.blobs)
	return st
}

func (s *Sink) count(op string, in, out int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Requests[op]++
	s.stats.BytesIn += in
	s.stats.BytesOut += out
}

// refused is an answer that says no.
type refused struct {
	status int
	code   string
}

func (e refused) Error() string { return e.code }

var errNoBlob = refused{404, "BlobNotFound"}

// check holds a request's conditions against the blob that is there. Called with
// mu held.
func (s *Sink) check(req *request) error {
	b := s.blobs[req.path]
	if req.header["if-none-match"] == "*" && b != nil {
		return refused{409, "BlobAlreadyExists"}
	}
	if want := req.header["if-match"]; want != "" && (b == nil || b.etag != want) {
		return refused{412, "ConditionNotMet"}
	}
	return nil
}

// put makes a blob of size bytes.
func (s *Sink) put(req *request, size int64) (*blob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(req); err != nil {
		return nil, err
	}
	delete(s.blocks, req.path)
	return s.store(req, size, nil, propertiesOf(req)), nil
}

// store puts a blob into the map. Called with mu held.
func (s *Sink) store(req *request, size int64, blocks []listedBlock, headers map[string]string) *blob {
	s.etags++
	b := &blob{size: size, etag: fmt.Sprintf(`"0x8D%013X"`, s.etags), modified: time.Now(), headers: headers, blocks: blocks}
	s.blobs[req.path] = b
	return b
}

var noProperties = map[string]string{"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}

// propertiesOf are the headers of a request that come back with the blob.
func propertiesOf(req *request) map[string]string {
	h := maps.Clone(noProperties)
	for k, v := range req.header {
		switch {
		case strings.HasPrefix(k, "x-ms-meta-"), k == "x-ms-access-tier":
			h[k] = v
		case k == "x-ms-blob-content-type":
			h["Content-Type"] = v
		}
	}
	return h
}

// stage remembers a block.
func (s *Sink) stage(req *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocks[req.path] == nil {
		s.blocks[req.path] = map[string]int64{}
	}
	s.blocks[req.path][req.query.Get("blockid")] = req.length
}

// commit makes a blob of staged blocks.
func (s *Sink) commit(req *request, ids []string) (*blob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(req); err != nil {
		return nil, err
	}
	var size int64
	blocks := make([]listedBlock, len(ids))
	for i, id := range ids {
		n, ok := s.blocks[req.path][id]
		if !ok {
			return nil, refused{400, "InvalidBlockList"}
		}
		blocks[i] = listedBlock{id, n}
		size += n
	}
	delete(s.blocks, req.path)
	return s.store(req, size, blocks, propertiesOf(req)), nil
}

// find looks a blob up under a request's conditions.
func (s *Sink) find(req *request) (*blob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[req.path]
	if b == nil {
		return nil, errNoBlob
	}
	return b, s.check(req)
}

// setMetadata replaces a blob's metadata.
func (s *Sink) setMetadata(req *request) (*blob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[req.path]
	if b == nil {
		return nil, errNoBlob
	}
	if err := s.check(req); err != nil {
		return nil, err
	}
	return s.store(req, b.size, b.blocks, propertiesOf(req)), nil
}

// remove deletes a blob.
func (s *Sink) remove(req *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blobs[req.path] == nil {
		return errNoBlob
	}
	if err := s.check(req); err != nil {
		return err
	}
	delete(s.blobs, req.path)
	return nil
}

// copyBlob copies a blob, metadata included unless the request brings some.
func (s *Sink) copyBlob(req *request, from string) (*blob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.blobs[from]
	if src == nil {
		return nil, errNoBlob
	}
	if want := req.header["x-ms-source-if-match"]; want != "" && want != src.etag {
		return nil, refused{412, "SourceConditionNotMet"}
	}
	if err := s.check(req); err != nil {
		return nil, err
	}
	headers := propertiesOf(req)
	if len(headers) == len(noProperties) {
		headers = maps.Clone(src.headers)
	}
	headers["x-ms-copy-id"], headers["x-ms-copy-status"] = "copy", "success"
	return s.store(req, src.size, src.blocks, headers), nil
}

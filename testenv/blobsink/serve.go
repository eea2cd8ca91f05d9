package blobsink

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Serve serves every connection of l until l is closed.
func (s *Sink) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a connection: %w", err)
		}
		// Ends when the client closes the connection, or with the process.
		go s.serveConn(c)
	}
}

func (s *Sink) serveConn(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, headSize)
	for {
		req, err := readRequest(r)
		if err != nil {
			return // closed, as a rule
		}
		if req.header["expect"] == "100-continue" {
			if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return
			}
		}
		if err := s.serve(c, r, req); err != nil {
			return
		}
	}
}

// reply is what is answered.
type reply struct {
	op      string
	status  int
	headers map[string]string
	blob    *blob
	body    []byte // or, of a GET:
	offset  int64
	length  int64
}

func (s *Sink) serve(c net.Conn, r *bufio.Reader, req *request) error {
	var list []byte
	var err error
	if req.query.Get("comp") == "blocklist" {
		list = make([]byte, req.length)
		_, err = io.ReadFull(r, list)
	} else {
		err = discard(c, r, req.length)
	}
	if err != nil {
		return err
	}
	re, err := s.handle(req, list)
	if err != nil {
		var no refused
		if !errors.As(err, &no) {
			return err
		}
		re.status, re.headers = no.status, map[string]string{"x-ms-error-code": no.code}
	}
	if re.op != opStats {
		s.count(re.op, req.length, re.length)
	}
	if s.latency > 0 {
		time.Sleep(s.latency)
	}
	return s.answer(c, req, re)
}

// handle carries a request out.
func (s *Sink) handle(req *request, list []byte) (re reply, err error) {
	re = reply{status: http.StatusCreated}
	comp := req.query.Get("comp")
	switch {
	case req.path == statsPath:
		re.op, re.status = opStats, http.StatusOK
		re.body, err = json.Marshal(s.Stats())
	case comp == "list":
		re.op, re.status = "list-blobs", http.StatusOK
		re.headers = map[string]string{"Content-Type": "application/xml"}
		re.body, err = s.list(req)
	case req.method == http.MethodPut && comp == "block":
		re.op = "put-block"
		s.stage(req)
	case req.method == http.MethodPut && comp == "blocklist":
		re.op = "put-block-list"
		re.blob, err = s.commit(req, blockIDs(list))
	case req.method == http.MethodPut && comp == "metadata":
		re.op, re.status = "set-metadata", http.StatusOK
		re.blob, err = s.setMetadata(req)
	case req.method == http.MethodPut && req.header["x-ms-copy-source"] != "":
		re.op, re.status = "copy-blob", http.StatusAccepted
		re.headers = map[string]string{"x-ms-copy-id": "copy", "x-ms-copy-status": "success"}
		re.blob, err = s.copyBlob(req, pathOf(req.header["x-ms-copy-source"]))
	case req.method == http.MethodPut && comp == "":
		re.op = "put-blob"
		re.blob, err = s.put(req, req.length)
	case req.method == http.MethodHead:
		re.op, re.status = "head-blob", http.StatusOK
		re.blob, err = s.find(req)
	case req.method == http.MethodGet && comp == "blocklist":
		re.op, re.status = "get-block-list", http.StatusOK
		re.headers = map[string]string{"Content-Type": "application/xml"}
		re.blob, re.body, err = s.listBlocks(req)
	case req.method == http.MethodGet:
		return s.get(req)
	case req.method == http.MethodDelete:
		re.op, re.status = "delete-blob", http.StatusAccepted
		err = s.remove(req)
	default:
		re.op, err = "unknown", refused{http.StatusNotImplemented, "NotImplemented"}
	}
	return re, err
}

func (s *Sink) get(req *request) (re reply, err error) {
	re = reply{op: "get-blob", status: http.StatusOK}
	if re.blob, err = s.find(req); err != nil {
		return re, err
	}
	var partial bool
	re.offset, re.length, partial = req.byteRange(re.blob.size)
	if partial {
		re.status = http.StatusPartialContent
		re.headers = map[string]string{"Content-Range": fmt.Sprintf("bytes %d-%d/%d", re.offset, re.offset+re.length-1, re.blob.size)}
		if re.length == 0 {
			return re, refused{http.StatusRequestedRangeNotSatisfiable, "InvalidRange"}
		}
	}
	return re, nil
}

// answer sends a reply: the head in one write, then the body.
func (s *Sink) answer(c net.Conn, req *request, re reply) error {
	head := make([]byte, 0, 1024)
	head = fmt.Appendf(head, "HTTP/1.1 %d %s\r\nDate: %s\r\nx-ms-request-id: sink\r\nx-ms-version: %s\r\n",
		re.status, http.StatusText(re.status), time.Now().UTC().Format(http.TimeFormat), req.header["x-ms-version"])
	length := re.length + int64(len(re.body))
	if b := re.blob; b != nil && re.status < http.StatusBadRequest {
		head = fmt.Appendf(head, "ETag: %s\r\nLast-Modified: %s\r\n", b.etag, b.modified.UTC().Format(http.TimeFormat))
		if req.method == http.MethodHead || req.method == http.MethodGet && re.body == nil {
			head = appendHeaders(head, b.headers)
		}
		if req.method == http.MethodHead {
			length = b.size
		}
	}
	head = appendHeaders(head, re.headers)
	head = fmt.Appendf(head, "Content-Length: %d\r\n\r\n", length)
	if _, err := c.Write(append(head, re.body...)); err != nil {
		return err
	}
	if re.status >= http.StatusBadRequest {
		return nil
	}
	return s.fill.send(c, re.offset, re.length)
}

func appendHeaders(head []byte, headers map[string]string) []byte {
	for k, v := range headers {
		head = append(head, k+": "+v+"\r\n"...)
	}
	return head
}

var blockID = regexp.MustCompile(`<(?:Latest|Uncommitted|Committed)>([^<]*)</`)

// blockIDs reads the IDs in a block list.
func blockIDs(list []byte) (ids []string) {
	for _, m := range blockID.FindAllSubmatch(list, -1) {
		ids = append(ids, string(m[1]))
	}
	return ids
}

// pathOf is the path of a URL, as a request for it has it.
func pathOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return "/" + strings.TrimPrefix(u.Path, "/")
}

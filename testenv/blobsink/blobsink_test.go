package blobsink

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// client sends requests to a sink.
type client struct {
	t    *testing.T
	url  string
	http *http.Client
}

func newClient(t *testing.T, s *Server) *client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t, s.URL, &http.Client{Transport: transport}}
}

// do sends a request, checks the status, and returns the answer with its body.
func (c *client) do(method, path string, body []byte, want int, header ...string) (http.Header, []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		c.t.Fatalf("%s %s: HTTP %d, want %d, %v", method, path, resp.StatusCode, want, err)
	}
	return resp.Header, got
}

func fillBytes(f Fill, n int64) []byte {
	b, _ := io.ReadAll(f.Reader(n))
	return b
}

func TestBlobsComeBack(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, fill := range []Fill{Zeros, Pattern} {
			s := Start(t, fill, secure)
			c := newClient(t, s)
			data := fillBytes(fill, 5<<20+5)
			head, _ := c.do("PUT", "/data/one%20blob", data, 201, "If-None-Match", "*", "x-ms-meta-lhsm_fid", "[0x1]")
			c.do("PUT", "/data/one%20blob", data, 409, "If-None-Match", "*")
			got, body := c.do("GET", "/data/one%20blob", nil, 200, "If-Match", head.Get("ETag"))
			if !bytes.Equal(body, data) || got.Get("x-ms-meta-lhsm_fid") != "[0x1]" {
				t.Errorf("tls %t, fill %d: other bytes or metadata came back", secure, fill)
			}
			got, body = c.do("GET", "/data/one%20blob", nil, 206, "x-ms-range", fmt.Sprintf("bytes=%d-%d", 3<<20-7, 5<<20+100))
			if !bytes.Equal(body, data[3<<20-7:]) || !strings.HasSuffix(got.Get("Content-Range"), fmt.Sprint("/", len(data))) {
				t.Errorf("tls %t, fill %d: range %q has other bytes", secure, fill, got.Get("Content-Range"))
			}
			c.do("GET", "/data/one%20blob", nil, 416, "Range", "bytes=99999999-")
			c.do("GET", "/data/one%20blob", nil, 412, "If-Match", `"0x0"`)
		}
	}
}

func TestBlocks(t *testing.T) {
	s := Start(t, Zeros, false)
	c := newClient(t, s)
	c.do("PUT", "/data/a?comp=block&blockid=QUE%3D", make([]byte, 5<<20), 201)
	c.do("PUT", "/data/a?comp=block&blockid=QUI%3D", make([]byte, 3), 201)
	c.do("HEAD", "/data/a", nil, 404)
	c.do("PUT", "/data/a?comp=blocklist", []byte("<BlockList><Latest>bm9uZQ==</Latest></BlockList>"), 400)
	c.do("PUT", "/data/a?comp=blocklist", []byte("<BlockList><Latest>QUE=</Latest><Latest>QUI=</Latest></BlockList>"), 201, "x-ms-access-tier", "Cool")
	head, _ := c.do("HEAD", "/data/a", nil, 200)
	if head.Get("Content-Length") != fmt.Sprint(5<<20+3) || head.Get("x-ms-access-tier") != "Cool" {
		t.Errorf("head is %v", head)
	}
}

func TestMetadataCopyDeleteStats(t *testing.T) {
	s := Start(t, Zeros, false)
	c := newClient(t, s)
	c.do("PUT", "/data/a", []byte("abc"), 201)
	set, _ := c.do("PUT", "/data/a?comp=metadata", nil, 200, "x-ms-meta-owner", "7")
	c.do("PUT", "/data/b", nil, 202, "x-ms-copy-source", s.URL+"/data/a", "x-ms-source-if-match", set.Get("ETag"))
	if head, _ := c.do("HEAD", "/data/b", nil, 200); head.Get("x-ms-meta-owner") != "7" || head.Get("Content-Length") != "3" {
		t.Errorf("copy is %v", head)
	}
	c.do("DELETE", "/data/b", nil, 202)
	c.do("DELETE", "/data/b", nil, 404)
	c.do("GET", "/data?restype=container&comp=list", nil, 200)
	c.url = strings.TrimSuffix(c.url, "/sink")
	_, body := c.do("GET", "/-/stats", nil, 200)
	var st Stats
	if err := json.Unmarshal(body, &st); err != nil || st.Requests["delete-blob"] != 2 || st.BytesIn != 3 || st.Blobs != 1 {
		t.Errorf("stats are %s, %v", body, err)
	}
}

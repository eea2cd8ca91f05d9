package blobsink

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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
		for _, fill := range []Fill{Zeros, Pattern, Dotted} {
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

// TestBlockListsComeBack: a block may be named many times, and goes with the blob.
func TestBlockListsComeBack(t *testing.T) {
	s := Start(t, Zeros, false)
	c := newClient(t, s)
	c.do("GET", "/data/a?comp=blocklist", nil, 404)
	c.do("PUT", "/data/a?comp=block&blockid=QUE%3D", make([]byte, 5), 201)
	c.do("PUT", "/data/a?comp=block&blockid=QUI%3D", make([]byte, 3), 201)
	c.do("PUT", "/data/a?comp=blocklist", []byte("<BlockList><Latest>QUE=</Latest><Latest>QUI=</Latest><Latest>QUE=</Latest></BlockList>"), 201)
	c.do("PUT", "/data/b", nil, 202, "x-ms-copy-source", s.URL+"/data/a")
	c.do("PUT", "/data/b?comp=metadata", nil, 200, "x-ms-meta-owner", "7")
	for _, name := range []string{"a", "b"} {
		head, list := c.do("GET", "/data/"+name+"?comp=blocklist&blocklisttype=committed", nil, 200)
		was, _ := c.do("HEAD", "/data/"+name, nil, 200)
		const want = "<BlockList><CommittedBlocks><Block><Name>QUE=</Name><Size>5</Size></Block><Block><Name>QUI=</Name><Size>3</Size></Block><Block><Name>QUE=</Name><Size>5</Size></Block></CommittedBlocks></BlockList>"
		if string(list) != want || head.Get("ETag") != was.Get("ETag") || was.Get("Content-Length") != "13" {
			t.Errorf("%s of %v: %s, %v", name, was, list, head)
		}
	}
	c.do("PUT", "/data/a", []byte("abc"), 201)
	if _, list := c.do("GET", "/data/a?comp=blocklist", nil, 200); string(list) != "<BlockList><CommittedBlocks></CommittedBlocks></BlockList>" {
		t.Errorf("after one put: %s", list)
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
	for range 2 { // asking does not count
		st, err := FetchStats(t.Context(), s.StatsURL())
		if err != nil || st.Requests["delete-blob"] != 2 || st.BytesIn != 3 || st.Blobs != 1 || len(st.Requests) != 5 {
			t.Errorf("stats are %v, %v", st, err)
		}
	}
}

func TestListInPages(t *testing.T) {
	c := newClient(t, Start(t, Zeros, false))
	for _, name := range []string{"b/2", "a", "b/1", "c", "b2", "other"} {
		c.do("PUT", "/data/"+name, []byte(name), 201, "x-ms-meta-owner", "7")
	}
	c.do("PUT", "/data2/z", nil, 201)
	for _, tt := range []struct{ query, want string }{
		{"", "a b/1 b/2 b2 c other"},
		{"&delimiter=/", "a b/ b2 c other"},
		{"&delimiter=/&prefix=b/", "b/1 b/2"},
		{"&prefix=b", "b/1 b/2 b2"},
		{"&prefix=none", ""},
		{"&maxresults=2", "a b/1 | b/2 b2 | c other"},
		{"&maxresults=2&delimiter=/", "a b/ | b2 c | other"},
	} {
		var got []string
		for marker := ""; ; {
			_, body := c.do("GET", "/data?restype=container&comp=list"+tt.query+"&marker="+url.QueryEscape(marker), nil, 200)
			var page struct {
				Blobs []struct {
					Name   string
					Length int `xml:"Properties>Content-Length"`
				} `xml:"Blobs>Blob"`
				Folders    []listedFolder `xml:"Blobs>BlobPrefix"`
				NextMarker string
			}
			if err := xml.Unmarshal(body, &page); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			var names []string
			for _, b := range page.Blobs {
				names = append(names, b.Name)
				if b.Length != len(b.Name) || !strings.Contains(string(body), "<owner>7</owner>") {
					t.Errorf("%s in %s", b.Name, body)
				}
			}
			for _, f := range page.Folders {
				names = append(names, f.Name)
			}
			slices.Sort(names)
			got = append(got, strings.Join(names, " "))
			if marker = page.NextMarker; marker == "" {
				break
			}
		}
		if s := strings.Join(got, " | "); s != tt.want {
			t.Errorf("list %s: %q, want %q", tt.query, s, tt.want)
		}
	}
}

// TestFilesHaveTheBytesOfBlobs holds the three forms of a fill against each other:
// as a reader, as a file with holes, and as what comes back.
func TestFilesHaveTheBytesOfBlobs(t *testing.T) {
	const size = 2*SparsePeriod + 3<<19
	file, err := os.Create(filepath.Join(t.TempDir(), "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := Sparse.WriteTo(file, size); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &st); err != nil || st.Size != size || st.Blocks*512 > 4<<20 {
		t.Errorf("file of %d bytes, %d of them data, %v", st.Size, st.Blocks*512, err)
	}
	c := newClient(t, Start(t, Sparse, false))
	for _, at := range []int64{0, patternSize - 7, SparsePeriod - 7, SparsePeriod + patternSize - 7, 2*SparsePeriod - 7} {
		want, got := make([]byte, 4096), make([]byte, 4096)
		_, _ = Sparse.Content().ReadAt(want, at)
		if _, err := file.ReadAt(got, at); err != nil || !bytes.Equal(got, want) {
			t.Errorf("at %d the file has other bytes, %v", at, err)
		}
	}
	c.do("PUT", "/data/big?comp=block&blockid=QUE%3D", make([]byte, 1<<20), 201)
	list := "<BlockList>" + strings.Repeat("<Latest>QUE=</Latest>", 300) + "</BlockList>"
	c.do("PUT", "/data/big?comp=blocklist", []byte(list), 201)
	at := int64(SparsePeriod - 7)
	want := make([]byte, 4096)
	_, _ = Sparse.Content().ReadAt(want, at)
	if _, got := c.do("GET", "/data/big", nil, 206, "Range", fmt.Sprintf("bytes=%d-%d", at, at+4095)); !bytes.Equal(got, want) {
		t.Error("the blob has other bytes")
	}
}

func TestFillNames(t *testing.T) {
	for _, f := range []Fill{Zeros, Pattern, Sparse, Dotted} {
		if got, err := ParseFill(f.String()); err != nil || got != f {
			t.Errorf("%v is parsed as %v, %v", f, got, err)
		}
	}
	if _, err := ParseFill("gold"); err == nil || !strings.Contains(err.Error(), "zeros, pattern, sparse, dotted") {
		t.Errorf("gold: %v", err)
	}
}

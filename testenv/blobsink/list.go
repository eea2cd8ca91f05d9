package blobsink

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// listing is the body of a List Blobs.
type listing struct {
	XMLName    xml.Name       `xml:"EnumerationResults"`
	Prefix     string         `xml:"Prefix"`
	Blobs      []listedBlob   `xml:"Blobs>Blob"`
	Folders    []listedFolder `xml:"Blobs>BlobPrefix"`
	NextMarker string         `xml:"NextMarker"`
}

type listedFolder struct {
	Name string `xml:"Name"`
}

type listedBlob struct {
	Name       string           `xml:"Name"`
	Properties listedProperties `xml:"Properties"`
	Metadata   listedMetadata   `xml:"Metadata"`
}

type listedProperties struct {
	Modified string `xml:"Last-Modified"`
	ETag     string `xml:"Etag"`
	Length   int64  `xml:"Content-Length"`
	Type     string `xml:"Content-Type"`
	BlobType string `xml:"BlobType"`
}

// listedMetadata is elements with the names of the keys.
type listedMetadata map[string]string

// MarshalXML implements xml.Marshaler.
func (m listedMetadata) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if err := e.EncodeElement(m[k], xml.StartElement{Name: xml.Name{Local: k}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// pageSize is how many names an answer has at most, as the service has it.
const pageSize = 5000

// list answers a List Blobs: a page of names in their order, those below a
// delimiter as one. The marker is the name to go on with.
func (s *Sink) list(req *request) ([]byte, error) {
	container := strings.TrimSuffix(req.path, "/") + "/"
	prefix, delimiter := req.query.Get("prefix"), req.query.Get("delimiter")
	most := pageSize
	if n, err := strconv.Atoi(req.query.Get("maxresults")); err == nil {
		most = min(n, pageSize)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	page := listing{Prefix: prefix}
	for _, name := range s.names(container, prefix, req.query.Get("marker")) {
		entry, isFolder := cutName(name, prefix, delimiter)
		if n := len(page.Folders); isFolder && n > 0 && page.Folders[n-1].Name == entry {
			continue
		}
		if len(page.Blobs)+len(page.Folders) == most {
			page.NextMarker = name
			break
		}
		if isFolder {
			page.Folders = append(page.Folders, listedFolder{entry})
		} else {
			page.Blobs = append(page.Blobs, s.blobs[container+name].listed(name))
		}
	}
	return xml.Marshal(page)
}

// names are those of a container's blobs, sorted. Called with mu held.
func (s *Sink) names(container, prefix, from string) (names []string) {
	for path := range s.blobs {
		if name, ok := strings.CutPrefix(path, container); ok && strings.HasPrefix(name, prefix) && name >= from {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// cutName gives what a listing shows of a name: all of it, or the folder it is in.
func cutName(name, prefix, delimiter string) (entry string, isFolder bool) {
	if delimiter == "" {
		return name, false
	}
	i := strings.Index(name[len(prefix):], delimiter)
	if i < 0 {
		return name, false
	}
	return name[:len(prefix)+i+len(delimiter)], true
}

func (b *blob) listed(name string) listedBlob {
	l := listedBlob{Name: name, Metadata: listedMetadata{}, Properties: listedProperties{
		Modified: b.modified.UTC().Format(http.TimeFormat), ETag: strings.Trim(b.etag, `"`), Length: b.size,
		Type: b.headers["Content-Type"], BlobType: b.headers["x-ms-blob-type"],
	}}
	for k, v := range b.headers {
		if key, ok := strings.CutPrefix(k, "x-ms-meta-"); ok {
			l.Metadata[key] = v
		}
	}
	return l
}

// blockList is the body of a Get Block List.
type blockList struct {
	XMLName   xml.Name      `xml:"BlockList"`
	Committed []listedBlock `xml:"CommittedBlocks>Block"`
}

// listBlocks answers a Get Block List. What was staged and not committed is not in it.
func (s *Sink) listBlocks(req *request) (*blob, []byte, error) {
	b, err := s.find(req)
	if err != nil {
		return nil, nil, err
	}
	body, err := xml.Marshal(blockList{Committed: b.blocks})
	return b, body, err
}

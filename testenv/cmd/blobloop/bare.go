package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// bare is net/http with nothing around it.
type bare struct {
	http *http.Client
	url  string // of the container
}

func newBare(o options) ([]sender, error) {
	b := bare{httpClient(o), o.url}
	return repeat(o.transfers, func() sender { return b }), nil
}

func (b bare) putBlob(ctx context.Context, p piece) error { return b.put(ctx, p, "") }

func (b bare) putBlock(ctx context.Context, p piece, id string) error {
	return b.put(ctx, p, blockQuery(id))
}

func (b bare) put(ctx context.Context, p piece, query string) error {
	if err := p.read(); err != nil {
		return err
	}
	return b.do(ctx, http.MethodPut, p.file.name+query, "", bytes.NewReader(p.buf), nil)
}

func (b bare) commit(ctx context.Context, name string, ids []string) error {
	return b.do(ctx, http.MethodPut, name+listQuery, "", strings.NewReader(blockList(ids)), nil)
}

func (b bare) get(ctx context.Context, p piece) error {
	if err := b.do(ctx, http.MethodGet, p.file.name, byteRange(p), nil, p.buf); err != nil {
		return err
	}
	return p.write()
}

// do makes one request, and fills into with the answer's body.
func (b bare) do(ctx context.Context, method, target, ranged string, body io.Reader, into []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, b.url+"/"+target, body)
	if err != nil {
		return err
	}
	if ranged != "" {
		req.Header.Set("Range", ranged)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s", method, target, resp.Status)
	}
	_, err = io.ReadFull(resp.Body, into)
	return err
}

// The parts of a request that net/http and sockets share.

const listQuery = "?comp=blocklist"

func blockQuery(id string) string { return "?comp=block&blockid=" + url.QueryEscape(id) }

func blockList(ids []string) string {
	var b strings.Builder
	b.WriteString("<BlockList>")
	for _, id := range ids {
		b.WriteString("<Latest>" + id + "</Latest>")
	}
	return b.String() + "</BlockList>"
}

func byteRange(p piece) string {
	return fmt.Sprintf("bytes=%d-%d", p.offset, p.offset+int64(len(p.buf))-1)
}

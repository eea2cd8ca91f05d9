package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/minio/crc64nvme"
)

// httpClient is that of the SDK's loop and of the bare one: HTTP/1.1, connections
// that are kept, and one write for a small request.
func httpClient(o options) *http.Client {
	t := &http.Transport{
		MaxIdleConnsPerHost: o.transfers, DisableCompression: true, WriteBufferSize: 128 << 10, ReadBufferSize: 64 << 10,
		Protocols: new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return &http.Client{Transport: t}
}

// sdk is the loop that the SDK's documentation shows.
type sdk struct{ container *container.Client }

func newSDK(o options) ([]sender, error) {
	key, err := container.NewSharedKeyCredential("sink", accountKey)
	if err != nil {
		return nil, err
	}
	c, err := container.NewClientWithSharedKeyCredential(o.url, key, &container.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: httpClient(o)},
	})
	return repeat(o.transfers, func() sender { return sdk{c} }), err
}

func repeat(n int, one func() sender) (all []sender) {
	for range n {
		all = append(all, one())
	}
	return all
}

func (s sdk) putBlob(ctx context.Context, p piece) error {
	if err := p.read(); err != nil {
		return err
	}
	_, err := s.container.NewBlockBlobClient(p.file.name).Upload(ctx, streaming.NopCloser(bytes.NewReader(p.buf)),
		&blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeCRC64(crc64nvme.Checksum(p.buf))})
	return err
}

func (s sdk) putBlock(ctx context.Context, p piece, id string) error {
	if err := p.read(); err != nil {
		return err
	}
	_, err := s.container.NewBlockBlobClient(p.file.name).StageBlock(ctx, id, streaming.NopCloser(bytes.NewReader(p.buf)),
		&blockblob.StageBlockOptions{TransactionalValidation: blob.TransferValidationTypeCRC64(crc64nvme.Checksum(p.buf))})
	return err
}

func (s sdk) commit(ctx context.Context, name string, ids []string) error {
	_, err := s.container.NewBlockBlobClient(name).CommitBlockList(ctx, ids, nil)
	return err
}

func (s sdk) get(ctx context.Context, p piece) error {
	r, err := s.container.NewBlobClient(p.file.name).DownloadStream(ctx, &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: p.offset, Count: int64(len(p.buf))},
	})
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if _, err := io.ReadFull(r.Body, p.buf); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	_ = crc64nvme.Checksum(p.buf) // there is nothing to compare it with; it costs what it costs
	return p.write()
}

// Command blobls lists the blobs of an emulator's container, with sizes and
// metadata. It exists for the demo, where no Azure command line is at hand.
//
//	blobls CONTAINER-URL         a line for each blob, with the keys that matter most
//	blobls CONTAINER-URL BLOB    all metadata of one blob, a line for each key
//
// It signs with the account key in $AZURITE_KEY.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "blobls:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 && len(args) != 2 {
		return errors.New("usage: blobls CONTAINER-URL [BLOB], with the account key in $AZURITE_KEY")
	}
	client, err := open(args[0])
	if err != nil {
		return err
	}
	if len(args) == 2 {
		return show(ctx, client, args[1], out)
	}
	return list(ctx, client, out)
}

// short are the keys that tell most on one line.
var short = []string{"permissions", "owner", "group", "hdi_isfolder", "lhsm_fid", "lhsm_crc64"}

// open takes the account from the path, where an emulator has it.
func open(containerURL string) (*container.Client, error) {
	u, err := url.Parse(containerURL)
	if err != nil {
		return nil, err
	}
	account, _, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !ok {
		return nil, fmt.Errorf("%s: want http://HOST:PORT/ACCOUNT/CONTAINER", containerURL)
	}
	cred, err := container.NewSharedKeyCredential(account, os.Getenv("AZURITE_KEY"))
	if err != nil {
		return nil, err
	}
	return container.NewClientWithSharedKeyCredential(containerURL, cred, nil)
}

func list(ctx context.Context, client *container.Client, out io.Writer) error {
	pager := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{Metadata: true}})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, b := range page.Segment.BlobItems {
			printBlob(out, b)
		}
	}
	return nil
}

func printBlob(out io.Writer, b *container.BlobItem) {
	fmt.Fprintf(out, "%10d  %-32s", *b.Properties.ContentLength, *b.Name)
	for _, key := range short {
		if value := b.Metadata[key]; value != nil {
			fmt.Fprintf(out, " %s=%s", key, *value)
		}
	}
	fmt.Fprintln(out)
}

func show(ctx context.Context, client *container.Client, name string, out io.Writer) error {
	p, err := client.NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return err
	}
	// The HTTP layer has made header names of the keys.
	for _, key := range slices.Sorted(maps.Keys(p.Metadata)) {
		fmt.Fprintf(out, "%s: %s\n", strings.ToLower(key), *p.Metadata[key])
	}
	return nil
}

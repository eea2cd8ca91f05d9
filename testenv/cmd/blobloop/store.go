package main

import (
	"context"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"lhsm-azblob/blobstore"
)

// filesAtATime is how many files are on their way, as the copytool has it by
// default.
const filesAtATime = 64

// A store is package blobstore, called as the copytool calls it.
type store struct {
	container *blobstore.Container
	holes     bool
	infos     []blobstore.Info // of what was put
}

func newStore(o options) (client, error) {
	pool := blobstore.NewPool(blobstore.PoolOptions{Transfers: o.transfers})
	c, err := blobstore.Open(blobstore.ContainerOptions{
		URL: o.url, BlockSize: o.block,
		Credential: blobstore.Credential{Mode: blobstore.ModeSharedKey, AccountKey: accountKey},
	}, pool)
	return &store{container: c, holes: o.holes}, err
}

func (s *store) put(ctx context.Context, files []file) error {
	s.infos = make([]blobstore.Info, len(files))
	return eachFile(ctx, files, os.O_RDONLY, func(ctx context.Context, i int, f *os.File) (err error) {
		var o blobstore.UploadOptions
		if s.holes {
			o.NextData = blobstore.DataIn(f)
		}
		s.infos[i], err = s.container.Upload(ctx, blobstore.Name(files[i].name), f, files[i].size, o)
		return err
	})
}

func (s *store) get(ctx context.Context, files []file) error {
	return eachFile(ctx, files, os.O_WRONLY, func(ctx context.Context, i int, f *os.File) error {
		info := s.infos[i]
		_, err := s.container.Download(ctx, info.Name, f, blobstore.DownloadOptions{
			ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: true, Holes: s.holes, ZeroBlocks: info.ZeroBlocks,
		})
		if err == nil && s.holes {
			err = f.Truncate(info.Size)
		}
		return err
	})
}

// eachFile opens all files, some at a time. Whoever works on one goes on with the next,
// as the senders of the other clients do: a goroutine for each file would have to grow
// its stack first.
func eachFile(ctx context.Context, files []file, mode int, do func(context.Context, int, *os.File) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range filesAtATime {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(files) || ctx.Err() != nil {
					return nil
				}
				if err := withFile(files[i].path, mode, func(f *os.File) error { return do(ctx, i, f) }); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

func withFile(path string, mode int, do func(*os.File) error) error {
	f, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return do(f)
}

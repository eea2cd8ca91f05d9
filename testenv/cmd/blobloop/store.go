package main

import (
	"context"
	"os"

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

// eachFile opens all files, some at a time.
func eachFile(ctx context.Context, files []file, mode int, do func(context.Context, int, *os.File) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtATime)
	for i, f := range files {
		g.Go(func() error {
			handle, err := os.OpenFile(f.path, mode, 0)
			if err != nil {
				return err
			}
			defer handle.Close()
			return do(ctx, i, handle)
		})
	}
	return g.Wait()
}

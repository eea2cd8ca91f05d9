package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"lhsm-azblob/blobstore"
)

// A sender makes single requests. Only one goroutine uses it.
type sender interface {
	putBlob(ctx context.Context, p piece) error
	putBlock(ctx context.Context, p piece, id string) error
	commit(ctx context.Context, name string, ids []string) error
	get(ctx context.Context, p piece) error
}

// A piece is what one request moves.
type piece struct {
	file   *work
	handle *os.File
	offset int64  // in the blob
	at     int64  // in the file; the same, but for holes
	buf    []byte // as long as the piece; for senders that need one
}

// read fills the buffer from the file.
func (p piece) read() error {
	_, err := io.ReadFull(io.NewSectionReader(p.handle, p.at, int64(len(p.buf))), p.buf)
	return err
}

// write puts the buffer into the file.
func (p piece) write() error {
	_, err := p.handle.WriteAt(p.buf, p.at)
	return err
}

// work is a file on its way.
type work struct {
	file
	pieces int
	left   atomic.Int64 // pieces that have not been sent
}

// A pieceLoop cuts files into pieces, and has so many senders move them.
type pieceLoop struct {
	options
	senders []sender
	cuts    map[string][]int64 // by the names of files: where the pieces are that travel
}

func inPieces(o options, open func(options) ([]sender, error)) (client, error) {
	senders, err := open(o)
	return &pieceLoop{o, senders, map[string][]int64{}}, err
}

func (l *pieceLoop) put(ctx context.Context, files []file) error {
	return l.each(ctx, files, os.O_RDONLY, func(ctx context.Context, s sender, p piece) error {
		w := p.file
		if w.pieces == 1 {
			return s.putBlob(ctx, p)
		}
		if err := s.putBlock(ctx, p, blockID(int(p.offset/l.block))); err != nil || w.left.Add(-1) > 0 {
			return err
		}
		ids := make([]string, w.pieces)
		for i := range ids {
			ids[i] = blockID(i)
		}
		return s.commit(ctx, w.name, ids)
	})
}

func (l *pieceLoop) get(ctx context.Context, files []file) error {
	return l.each(ctx, files, os.O_WRONLY, func(ctx context.Context, s sender, p piece) error { return s.get(ctx, p) })
}

// each hands every piece of every file to one of the senders.
func (l *pieceLoop) each(ctx context.Context, files []file, mode int, do func(context.Context, sender, piece) error) error {
	queue := make(chan piece)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(queue)
		return l.cut(ctx, files, queue)
	})
	for _, s := range l.senders {
		g.Go(func() error {
			room := make([]byte, l.block)
			for p := range queue {
				if err := l.move(ctx, s, p, mode, room, do); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (l *pieceLoop) move(ctx context.Context, s sender, p piece, mode int, room []byte, do func(context.Context, sender, piece) error) (err error) {
	if p.handle, err = os.OpenFile(p.file.path, mode, 0); err != nil {
		return err
	}
	defer p.handle.Close()
	p.buf = room[:min(l.block, p.file.size-p.at)]
	return do(ctx, s, p)
}

func (l *pieceLoop) cut(ctx context.Context, files []file, queue chan<- piece) error {
	for _, f := range files {
		places, err := l.placesOf(f)
		if err != nil {
			return err
		}
		w := &work{file: f, pieces: len(places)}
		w.left.Store(int64(w.pieces))
		for i, at := range places {
			select {
			case queue <- piece{file: w, offset: int64(i) * l.block, at: at}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// placesOf is where the pieces of a file are. It is found out on the way there: on the
// way back the file is empty.
func (l *pieceLoop) placesOf(f file) ([]int64, error) {
	if places := l.cuts[f.name]; places != nil {
		return places, nil
	}
	handle, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	nextData := blobstore.DataIn(handle)
	places := []int64{0}
	for at := l.block; at < f.size; at += l.block {
		if l.holes {
			data, _ := nextData(at)
			if at += (data - at) / l.block * l.block; at >= f.size {
				break
			}
		}
		places = append(places, at)
	}
	l.cuts[f.name] = places
	return places, nil
}

func blockID(i int) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

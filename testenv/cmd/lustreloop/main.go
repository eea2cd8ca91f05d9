// Command lustreloop is a copytool without a store: by as little code as there can be
// around Lustre's library it begins each action, reads the file or writes one, and ends
// the action. What that costs is what no copytool gets below. It keeps nothing, so it
// is for a stand-in only.
//
//	lustreloop -size BYTES [-running N] MOUNT
//
// Every file is of that size. It prints "ready" when it serves, and ends by SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv/blobsink"
)

func main() {
	size := flag.Int64("size", 64<<10, "bytes of each file")
	running := flag.Int("running", 64, "actions at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, flag.Arg(0), *size, *running); err != nil {
		fmt.Fprintln(os.Stderr, "lustreloop:", err)
		stop()
		os.Exit(1)
	}
}

func serve(ctx context.Context, mount string, size int64, running int) (err error) {
	ct, err := llapi.Register(mount)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ct.Close()) }()
	content := make([]byte, size)
	if _, err := blobsink.Pattern.Content().ReadAt(content, 0); err != nil {
		return err
	}
	fmt.Println("ready")
	return receive(ctx, &loop{ct, content}, running)
}

// receive takes lists until ctx ends. What it cannot take yet waits in the pipe.
func receive(ctx context.Context, l *loop, running int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(running)
	for {
		list, err := l.ct.Recv(ctx)
		if err != nil {
			return errors.Join(g.Wait(), ignoreEnd(ctx, err))
		}
		for _, item := range list.Items {
			g.Go(func() error { return l.do(item) })
		}
	}
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type loop struct {
	ct      *llapi.Copytool
	content []byte // of every file
}

func (l *loop) do(item llapi.ActionItem) error {
	mdt := -1
	if item.Action == llapi.ActionRestore {
		var err error
		if mdt, err = l.ct.MDTIndex(item.FID); err != nil {
			return err
		}
	}
	a, err := l.ct.Begin(item, mdt, 0)
	if err != nil {
		return err
	}
	if err := l.move(a, item.Action); err != nil {
		a.Abandon()
		return err
	}
	return a.End(llapi.Extent{Length: uint64(len(l.content))}, 0, 0)
}

// move reads or writes the whole file.
func (l *loop) move(a *llapi.CopyAction, action llapi.Action) error {
	f, err := a.File()
	if err != nil {
		return err
	}
	defer f.Close()
	if action == llapi.ActionRestore {
		_, err = f.WriteAt(l.content, 0)
	} else {
		_, err = f.ReadAt(make([]byte, len(l.content)), 0)
	}
	return err
}

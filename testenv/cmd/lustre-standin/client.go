package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"lhsm-azblob/testenv/admin"
)

// ask has the daemon carry out a command. `--mount MNT` before or after the
// command's name says which daemon.
func ask(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	mount, args, err := takeMount(args)
	if err != nil {
		return fail(stderr, err)
	}
	socket, err := admin.Socket(mount)
	if err != nil {
		return fail(stderr, err)
	}
	r, err := admin.Call(ctx, socket, args...)
	if err != nil {
		return fail(stderr, err)
	}
	fmt.Fprint(stdout, r.Stdout)
	fmt.Fprint(stderr, r.Stderr)
	return r.Code
}

func takeMount(args []string) (mount string, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		if args[i] != "--mount" {
			rest = append(rest, args[i])
			continue
		}
		if i++; i == len(args) {
			return "", nil, errors.New("--mount needs a directory")
		}
		mount = args[i]
	}
	if len(rest) == 0 {
		return "", nil, errors.New("no command; see lustre-standin help")
	}
	if mount == "" {
		mount = os.Getenv("LUSTRE_MOUNT")
	}
	if mount == "" {
		mount, err = admin.FindMount()
	}
	return mount, rest, err
}

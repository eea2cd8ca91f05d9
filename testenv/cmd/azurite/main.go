// Command azurite runs the Blob service emulator for the demo.
//
// It prints how to reach it as NAME=value lines, then "ready", and serves until
// it gets SIGTERM or SIGINT.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/azurite"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "azurite:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o azurite.Options
	flags := flag.NewFlagSet("azurite", flag.ExitOnError)
	flags.IntVar(&o.Port, "port", 0, "port to listen on; 0: a free one")
	flags.StringVar(&o.Location, "location", "", "folder for its data; empty: in memory")
	containerName := flags.String("container", "", "container to create")
	parentDeath := flags.Bool("parent-death", false, "end when the process that started this one ends")
	_ = flags.Parse(args) // exits by itself

	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *parentDeath {
		if err := dieWithParent(); err != nil {
			return err
		}
	}
	s, err := azurite.Run(ctx, o)
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := announce(ctx, out, s, *containerName); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-s.Done():
		return fmt.Errorf("serve %s: Azurite ended", s.Endpoint)
	}
}

// announce creates the container and prints what a client needs to know.
func announce(ctx context.Context, out io.Writer, s *azurite.Server, containerName string) error {
	fmt.Fprintf(out, "AZURITE_ENDPOINT=%s\n", s.Endpoint)
	fmt.Fprintf(out, "AZURITE_ACCOUNT=%s\n", s.AccountName)
	fmt.Fprintf(out, "AZURITE_KEY=%s\n", s.AccountKey)
	fmt.Fprintf(out, "AZURITE_CONNECTION_STRING=%s\n", s.ConnectionString())
	if containerName != "" {
		u, err := s.CreateContainer(ctx, containerName)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "AZURITE_CONTAINER=%s\n", u)
	}
	fmt.Fprintln(out, "ready")
	return nil
}

// dieWithParent has the kernel end this process when its parent ends.
func dieWithParent() error {
	parent := os.Getppid()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("ask for a signal at the parent's death: %w", err)
	}
	if os.Getppid() != parent {
		return fmt.Errorf("parent %d has ended", parent)
	}
	return nil
}

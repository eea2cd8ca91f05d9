// Command hsmsoak lets users, requests and troubles loose on a stand-in Lustre
// with two copytools, for as long as one likes, and checks every byte.
//
//	hsmsoak [-minutes N] [-seed N] [-copytool FILE] [-dir DIR] [-users UID,…]
//
// It runs the programs that lie beside it. A run with the same seed does the
// same things in another order of events: threads and processes are not to be
// commanded. Exit status 1: something was not as it must be, or took too long;
// then the logs are worth reading, soak.log first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lhsm-azblob/testenv/soak"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hsmsoak:", err)
		os.Exit(1)
	}
	fmt.Println("nothing was wrong: 0 mismatches, 0 hangs, 0 leaks")
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	return soak.Run(ctx, o, os.Stdout)
}

func parse(args []string) (soak.Options, error) {
	self, err := os.Executable()
	if err != nil {
		return soak.Options{}, err
	}
	var minutes float64
	var users, seed string
	o := soak.Options{Bin: filepath.Dir(self)}
	fs := flag.NewFlagSet("hsmsoak", flag.ExitOnError)
	fs.Float64Var(&minutes, "minutes", 10, "how long to make trouble")
	fs.StringVar(&seed, "seed", "", "seed of everything that is random; empty: a new one")
	fs.StringVar(&o.Copytool, "copytool", filepath.Join(o.Bin, "lhsmtool_azblob"), "copytool to soak; best built with -race")
	fs.StringVar(&o.Dir, "dir", "", "folder for logs; empty: a new one below the working directory's build/soak")
	fs.StringVar(&o.Back, "back", "/dev/shm", "folder for the data of the stand-in; best in memory")
	fs.StringVar(&users, "users", "0,1001,1002,1003", "user ids, separated by commas")
	fs.Int64Var(&o.Bytes, "bytes", 256<<20, "bytes of all files together, about")
	fs.DurationVar(&o.Calm, "calm", 12*time.Second, "time between two kills, on average")
	fs.DurationVar(&o.Hang, "hang", 3*time.Minute, "what takes longer is a failure")
	fs.DurationVar(&o.Report, "report", time.Minute, "time between two lines of progress")
	_ = fs.Parse(args) // exits by itself
	o.Time = time.Duration(minutes * float64(time.Minute))
	o.Seed = uint64(time.Now().UnixNano())
	if seed != "" {
		if o.Seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
			return o, fmt.Errorf("-seed %s: not a number", seed)
		}
	}
	for _, u := range strings.Split(users, ",") {
		uid, err := strconv.ParseUint(u, 10, 31)
		if err != nil {
			return o, fmt.Errorf("-users: %q is not a user id", u)
		}
		o.Users = append(o.Users, int(uid))
	}
	if o.Dir == "" {
		o.Dir = filepath.Join("build", "soak", fmt.Sprintf("%s-%d", time.Now().Format("0102-150405"), o.Seed))
	}
	o.Dir, err = filepath.Abs(o.Dir)
	if os.Geteuid() != 0 {
		err = errors.Join(err, errors.New("needs root, since it mounts a file system; run it as root"))
	}
	return o, err
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/cmd/internal/severity"
	"lhsm-azblob/cmd/internal/verify"
	"lhsm-azblob/copytool"
	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
)

const verifyHelp = `Proves for each file that what is in the container is what Lustre believes: that the blob which the file names is there, with the ETag, size and checksum
that were noted; and tells which files are safe to release, and why the others are not. It needs a copytool's configuration for the containers, and root. Nothing is
changed, and nothing is restored: what is released is not read. Exit status: 0 all match; 8 some have no copy, or an older one; 1 a copy is missing or wrong; 64 usage.`

func (p *program) verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "prove that what is in the container is what Lustre believes", ArgsUsage: "[PATH...]", Description: verifyHelp,
		Flags: append(moverFlags(),
			&cli.StringFlag{Name: "mount", Usage: "the file system mounted at `MOUNT`; without it that of the first PATH, or that which the configuration is named after"},
			&cli.StringSliceFlag{Name: "prefix", Usage: "also the files whose path begins with the string `PREFIX`, as for a job; may be repeated"},
			&cli.BoolFlag{Name: "deep", Usage: "read the blobs, and compare their bytes with their checksum and with the files that are not released"},
			&cli.BoolFlag{Name: "problems", Usage: "print only files that do not match"},
			parallelFlag("files that are looked at at a time"),
		),
		Action: p.verify,
	}
}

func (p *program) verify(c *cli.Context) error {
	n, err := parallel(c)
	if err != nil {
		return err
	}
	if c.NArg() == 0 && len(c.StringSlice("prefix")) == 0 {
		return options.Usagef("nothing is given to verify: name files, directories, or a --prefix")
	}
	paths, err := absolute(c.Args().Slice())
	if err != nil {
		return err
	}
	s, err := p.verifySettings(c, paths)
	if err != nil {
		return err
	}
	mount, err := copytool.OpenMount(s.Mount)
	if err != nil {
		return err
	}
	pool := blobstore.NewPool(s.Pool)
	defer pool.Close()
	containers, err := openContainers(s, pool)
	if err != nil {
		return err
	}
	v := verify.New(verify.Options{FSName: mount.FSName, Containers: containers, Deep: c.Bool("deep")})
	r := newVerifyReport(p.stdout, c.Bool("json"), c.Bool("problems"))
	err = jobs.Find(c.Context, jobs.FindOptions{
		Mount: mount.Root, Paths: paths, Prefixes: c.StringSlice("prefix"), Visitors: n,
		Refused: func(path string, err error) error { return r.add(verify.Refused(path, err)) },
	}, func(ctx context.Context, f *jobs.File) error { return r.add(v.File(ctx, f)) })
	if err != nil {
		return asUsage(err)
	}
	if err := r.end(); err != nil {
		return err
	}
	return worstOf(r.worst)
}

// asUsage gives a mistake in a path the exit status of one.
func asUsage(err error) error {
	var invalid *jobs.InvalidError
	if errors.As(err, &invalid) {
		return options.UsageError{Err: err}
	}
	return err
}

// absolute makes paths that mean what they mean here; links in them are not followed
// further than to the file's directory.
func absolute(paths []string) ([]string, error) {
	abs := make([]string, len(paths))
	for i, path := range paths {
		if path == "" { // and not the directory that one happens to be in
			return nil, options.Usagef("%q is no path", path)
		}
		full, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(full))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", printable(path), err)
		}
		abs[i] = filepath.Join(dir, filepath.Base(full))
	}
	return abs, nil
}

// verifySettings are those of the copytool of the file system that is meant.
func (p *program) verifySettings(c *cli.Context, paths []string) (*mover.Settings, error) {
	mount := c.String("mount")
	for _, path := range paths {
		root, _, err := llapi.MountRoot(path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s is not in a Lustre file system (%w); name files of one", printable(path), err)
		case mount != "" && root != filepath.Clean(mount):
			return nil, options.Usagef("%s is not in the file system at %s; verify one file system at a time", printable(path), mount)
		}
		mount = root
	}
	return p.moverSettings(c, mount)
}

func openContainers(s *mover.Settings, pool *blobstore.Pool) ([]verify.Container, error) {
	var all []verify.Container
	for _, a := range s.Archives {
		c, err := blobstore.Open(a.Container, pool)
		if err != nil {
			return nil, err
		}
		all = append(all, verify.Container{Account: c.Account(), Name: c.ContainerName(), Store: c})
	}
	return all, nil
}

// A verifyReport prints results as they come, and counts them.
type verifyReport struct {
	w        io.Writer
	json     bool
	problems bool

	mu      sync.Mutex // guards what follows, and w
	worst   severity.Level
	summary verifySummary
	err     error // of w
}

// A verifySummary is what the last line says.
type verifySummary struct {
	Files         int64                    `json:"files"`
	Verdicts      map[verify.Verdict]int64 `json:"verdicts"`
	Safe          int64                    `json:"safeToRelease"`
	SafeBytes     int64                    `json:"safeToReleaseBytes"`
	Released      int64                    `json:"released"` // and matching
	Worst         severity.Level           `json:"worst"`
	DeepFiles     int64                    `json:"deepFiles"` // whose bytes were proved
	NotReleasable int64                    `json:"notSafe"`
}

func newVerifyReport(w io.Writer, json, problems bool) *verifyReport {
	r := &verifyReport{w: w, json: json, problems: problems, summary: verifySummary{Verdicts: map[verify.Verdict]int64{}}}
	if !json {
		fmt.Fprintf(w, verifyRow, "RELEASE", "VERDICT", "SIZE", "PATH")
	}
	return r
}

const verifyRow = "%-8s  %-19s  %10s  %s\n"

// add counts a result, and prints it. Its error is that of the output.
func (r *verifyReport) add(res verify.Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.worst = max(r.worst, res.Level)
	r.summary.count(res)
	if r.problems && res.Verdict == verify.Matches {
		return r.err
	}
	r.err = cmp.Or(r.err, r.print(res))
	return r.err
}

func (r *verifyReport) print(res verify.Result) error {
	if r.json {
		return json.NewEncoder(r.w).Encode(res)
	}
	text := printable(res.Path)
	if res.Why != "" {
		text += "  (" + printable(res.Why) + ")"
	}
	_, err := fmt.Fprintf(r.w, verifyRow, releaseText(res), res.Verdict, sizeText(res.Size), text)
	return err
}

// releaseText tells whether the data in Lustre can be given up.
func releaseText(res verify.Result) string {
	switch {
	case res.SafeToRelease:
		return "safe"
	case res.Released:
		return "released"
	}
	return "no"
}

func (s *verifySummary) count(res verify.Result) {
	s.Files++
	s.Verdicts[res.Verdict]++
	s.Worst = max(s.Worst, res.Level)
	if res.Deep {
		s.DeepFiles++
	}
	switch {
	case res.SafeToRelease:
		s.Safe, s.SafeBytes = s.Safe+1, s.SafeBytes+res.Size
	case res.Released && res.Verdict == verify.Matches:
		s.Released++
	default:
		s.NotReleasable++
	}
}

// end prints the summary.
func (r *verifyReport) end() error {
	s := r.summary
	if r.json {
		return cmp.Or(r.err, json.NewEncoder(r.w).Encode(struct {
			Summary verifySummary `json:"summary"`
		}{s}))
	}
	var verdicts []string
	for v, n := range s.Verdicts {
		verdicts = append(verdicts, fmt.Sprintf("%s %s", countText(n), v))
	}
	slices.Sort(verdicts)
	_, err := fmt.Fprintf(r.w, "%s: %s; %s (%s) safe to release, %s released and sound, %s neither\n", counted(s.Files, "file"), cmp.Or(strings.Join(verdicts, ", "), "none"),
		countText(s.Safe), sizeText(s.SafeBytes), countText(s.Released), countText(s.NotReleasable))
	return cmp.Or(r.err, err)
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return countText(n) + " " + what + "s"
}

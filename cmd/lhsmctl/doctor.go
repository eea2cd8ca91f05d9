package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/doctor"
	"lhsm-azblob/cmd/internal/severity"
)

const doctorHelp = `Looks at everything between this data mover and its container, by the copytool's own configuration, and says of each thing
ok, note, warning or failure, what was seen, and how to mend it. A scratch file and scratch blobs are made and removed again;
nothing is registered with the coordinator. Exit status: 0 nothing is wrong; 8 warnings; 1 failures; 64 usage.`

func (p *program) doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "look at everything between this data mover and its container", ArgsUsage: "[MOUNT]", Description: doctorHelp,
		Flags: moverFlags(), Action: p.doctor,
	}
}

// examineName is the command by which the doctor starts itself.
const examineName = "doctor-examine"

func (p *program) examineCommand() *cli.Command {
	return &cli.Command{Name: examineName, Hidden: true, Flags: moverFlags(), Action: p.examine}
}

// doctorOptions are what a copytool would run with.
func (p *program) doctorOptions(c *cli.Context) (doctor.Options, error) {
	s, err := p.mountSettings(c)
	if err != nil {
		return doctor.Options{}, err
	}
	o := doctor.Options{
		Mount: s.Mount, Limits: s.Limits, Pool: s.Pool, RunDir: s.RunDir, StateDir: s.StateDir, HTTP: s.HTTP, Unit: unitOf(s.Mount),
	}
	for _, a := range s.Archives {
		o.Archives = append(o.Archives, doctor.Archive{IDs: a.IDs, Prefix: a.Prefix, Container: a.Container})
	}
	return o, nil
}

// examine runs the checks, and prints each finding as a line of JSON.
func (p *program) examine(c *cli.Context) error {
	o, err := p.doctorOptions(c)
	if err != nil {
		return err
	}
	e := json.NewEncoder(p.stdout)
	doctor.Run(c.Context, doctor.Checks(o), func(f doctor.Finding) {
		err = errors.Join(err, e.Encode(f))
	})
	return err
}

// doctorPatience is for all checks together. Each has its own; this is in case
// that the process which runs them hangs as a whole.
const doctorPatience = 5 * time.Minute

// doctor lets another process look. What touches a file system whose servers are
// gone may never come back, nor does its process then, not even by SIGKILL; this
// one stays clear of it, and always ends.
func (p *program) doctor(c *cli.Context) error {
	o, err := p.doctorOptions(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, doctorPatience)
	defer cancel()
	config, err := configFile(c, c.Args().First())
	if err != nil {
		return err
	}
	found, err := p.consult(ctx, config, o)
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		p.printFindings(found)
	} else if err := p.printJSON(found); err != nil {
		return err
	}
	return worstOf(worstLevel(found))
}

// consult has the checks run, and returns what they found in their order.
func (p *program) consult(ctx context.Context, config string, o doctor.Options) ([]doctor.Finding, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, examineName, "--config", config, "--", o.Mount) //nolint:noctx // ended below, without waiting for it
	// Through a pipe of its own: what it holds open for good must not be ours, or
	// whoever reads our standard error would wait for it.
	cmd.Env, cmd.Stderr = p.environ, struct{ io.Writer }{p.stderr}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the examination: %w", err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it has ended, or does not answer
		go cmd.Wait()          //nolint:errcheck // it may never end
	}()
	checks := doctor.Checks(o)
	return collect(ctx, out, checks), nil
}

// collect reads a finding for each check. Checks that nothing is heard of have
// hung, and their process with them.
func collect(ctx context.Context, r io.Reader, checks []doctor.Check) []doctor.Finding {
	heard := make(chan doctor.Finding)
	go func() { // ends with the process, or with this one
		defer close(heard)
		for d := json.NewDecoder(r); ; {
			var f doctor.Finding
			if d.Decode(&f) != nil {
				return
			}
			select {
			case heard <- f:
			case <-ctx.Done():
				return
			}
		}
	}()
	byKey := map[string]doctor.Finding{}
	for open := true; open && len(byKey) < len(checks); {
		select {
		case f, ok := <-heard:
			if open = ok; ok {
				byKey[f.Subject+"/"+f.Check] = f
			}
		case <-ctx.Done():
			open = false
		}
	}
	found := make([]doctor.Finding, len(checks))
	for i, c := range checks {
		f, ok := byKey[c.Subject+"/"+c.Name]
		if !ok {
			f = doctor.Finding{Subject: c.Subject, Check: c.Name, Level: severity.Failure, Seen: "the examination ended without a word of it"}
		}
		found[i] = f
	}
	return found
}

func worstLevel(found []doctor.Finding) severity.Level {
	level := severity.OK
	for _, f := range found {
		level = max(level, f.Level)
	}
	return level
}

func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printFindings prints them under the headline of their subject.
func (p *program) printFindings(found []doctor.Finding) {
	subject := ""
	count := map[severity.Level]int64{}
	for _, f := range found {
		if f.Subject != subject {
			subject = f.Subject
			fmt.Fprintf(p.stdout, "%s\n", subject)
		}
		count[f.Level]++
		level := f.Level.String()
		if f.Level >= severity.Warning {
			level = strings.ToUpper(level)
		}
		fmt.Fprintf(p.stdout, "  %-8s %-16s %s\n", level, f.Check, printable(f.Seen))
		if f.Mend != "" {
			fmt.Fprintf(p.stdout, "  %-8s %-16s -> %s\n", "", "", printable(f.Mend))
		}
	}
	fmt.Fprintf(p.stdout, "%s, %s, %s, %s ok\n", counted(count[severity.Failure], "failure"), counted(count[severity.Warning], "warning"),
		counted(count[severity.Note], "note"), countText(count[severity.OK]))
}

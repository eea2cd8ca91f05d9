package main

import (
	"flag"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/llapi"
)

// configDir has a configuration file for each mount.
const configDir = "/etc/lhsm-azblob"

// moverFlags are what every command has that goes by a copytool's configuration.
func moverFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "config", EnvVars: []string{"LHSM_AZBLOB_CONFIG"},
			Usage: "the copytool's configuration `FILE`; without it " + configDir + "/NAME.conf of the mount. Variables $LHSM_AZBLOB_... count as for the copytool",
		},
		&cli.BoolFlag{Name: "json", Usage: "print JSON"},
	}
}

// mountOf is the MOUNT that a command takes; "" without one.
func mountOf(c *cli.Context) (string, error) {
	mount := c.Args().First()
	switch {
	case c.NArg() > 1:
		return "", options.Usagef("%d arguments, and one is wanted: MOUNT", c.NArg())
	case c.NArg() == 1 && mount == "":
		return "", options.Usagef(`"" is no MOUNT; give the mount point of a Lustre file system`)
	}
	return mount, nil
}

// mountSettings are the moverSettings of a command's MOUNT.
func (p *program) mountSettings(c *cli.Context) (*mover.Settings, error) {
	mount, err := mountOf(c)
	if err != nil {
		return nil, err
	}
	return p.moverSettings(c, mount)
}

// moverSettings are what the copytool of a mount runs with: what its service reads,
// and as it reads it. Without a mount it is the one that the file is named after.
func (p *program) moverSettings(c *cli.Context, mount string) (*mover.Settings, error) {
	file, err := configFile(c, mount)
	if err != nil {
		return nil, err
	}
	if mount == "" {
		mount = unescapePath(strings.TrimSuffix(filepath.Base(file), ".conf"))
	}
	// What the library has to say of an error comes back as the error.
	llapi.SetLogger(slog.New(slog.DiscardHandler))
	// Of the flags of ours some are called like the copytool's, and mean something else.
	noFlags := cli.NewContext(nil, flag.NewFlagSet("", flag.ContinueOnError), nil)
	v, err := mover.Table.Resolve(noFlags, append(slices.Clone(p.environ), "LHSM_AZBLOB_CONFIG="+file))
	if err != nil {
		return nil, err
	}
	s, err := mover.SettingsOf(v)
	if err != nil {
		return nil, err
	}
	s.Mount, s.Pool.UserAgent = mount, programName+"/"+version
	return s, nil
}

// configFile is the copytool's configuration: the one that is given, or the mount's.
func configFile(c *cli.Context, mount string) (string, error) {
	switch file := c.String("config"); {
	case file != "":
		return file, nil
	case mount == "":
		return "", options.Usagef("MOUNT is missing: give the mount point of a Lustre file system, or a copytool's configuration with --config")
	default:
		return filepath.Join(configDir, escapePath(mount)+".conf"), nil
	}
}

// archiveID is an archive id that is given as a flag; 0 if it is not.
func archiveID(c *cli.Context, name string) (uint32, error) {
	id := c.Uint(name)
	if id > math.MaxInt32 {
		return 0, options.Usagef("--%s: %d is not a number from 0 to %d", name, id, math.MaxInt32)
	}
	return uint32(id), nil
}

// mostParallel keeps descriptors and threads within what a process usually has.
const mostParallel = 500

func parallelFlag(what string) cli.Flag {
	return &cli.IntFlag{Name: "parallel", Value: 32, Usage: what + ", `N`"}
}

// parallel is how many files are worked on at a time.
func parallel(c *cli.Context) (int, error) {
	n := c.Int("parallel")
	if n < 1 || n > mostParallel {
		return 0, options.Usagef("--parallel: %d is not a number from 1 to %d", n, mostParallel)
	}
	return n, nil
}

// unitOf is the service of a mount's copytool.
func unitOf(mount string) string { return mover.Program + "@" + escapePath(mount) }

// escapePath is systemd-escape --path.
func escapePath(path string) string {
	path = strings.Trim(filepath.Clean(path), "/")
	if path == "" {
		return "-"
	}
	var b strings.Builder
	for i := range len(path) {
		switch c := path[i]; {
		case c == '/':
			b.WriteByte('-')
		case c == '.' && i > 0, c == '_', c == ':', c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z':
			b.WriteByte(c)
		default:
			b.WriteString(`\x` + strconv.FormatUint(uint64(c)+0x100, 16)[1:])
		}
	}
	return b.String()
}

// unescapePath is systemd-escape --unescape --path.
func unescapePath(name string) string {
	if name == "-" {
		return "/"
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '-' {
			b.WriteByte('/')
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimPrefix(name[i:min(i+4, len(name))], `\x`), 16, 8); err == nil && strings.HasPrefix(name[i:], `\x`) {
			b.WriteByte(byte(n))
			i += 3
			continue
		}
		b.WriteByte(name[i])
	}
	return "/" + b.String()
}

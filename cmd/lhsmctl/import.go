package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/importer"
	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/copytool"
	"lhsm-azblob/jobs"
)

const importHelp = `Makes a file of each blob of the container, in a file system that has lost them or never had them: names, owners, modes, times, extended attributes and striping
as the blobs' metadata say. The files are released; the data come when somebody reads them. What exists is left alone, in the file system as in the container. It needs
a copytool's configuration for the container, and root. Exit status: 0 all are there; 1 some could not be made; 64 usage.`

func (p *program) importCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "make released files of the blobs of a container", ArgsUsage: "[MOUNT]", Description: importHelp,
		Flags: append(moverFlags(),
			&cli.UintFlag{Name: "archive", Usage: "`ID` of the archive of the configuration to import; it may be left out where there is one"},
			&cli.StringFlag{Name: "prefix", Usage: "only paths that begin with the string `PREFIX`"},
			&cli.BoolFlag{Name: "dry-run", Usage: "make nothing, and say what would be made"},
			parallelFlag("files that are made at a time"),
		),
		Action: p.importBlobs,
	}
}

func (p *program) importBlobs(c *cli.Context) error {
	n, err := parallel(c)
	if err != nil {
		return err
	}
	wanted, err := archiveID(c, "archive")
	if err != nil {
		return err
	}
	if c.IsSet("prefix") && c.String("prefix") == "" {
		return options.Usagef(`--prefix: "" is no prefix; leave it out to import all`)
	}
	s, err := p.mountSettings(c)
	if err != nil {
		return err
	}
	archive, id, err := chosenArchive(s, wanted)
	if err != nil {
		return err
	}
	if err := copytool.CheckCapabilities(); err != nil {
		return err
	}
	mount, err := copytool.OpenMount(s.Mount)
	if err != nil {
		return err
	}
	pool := blobstore.NewPool(s.Pool)
	defer pool.Close()
	container, err := blobstore.Open(archive.Container, pool)
	if err != nil {
		return err
	}
	r := &importReport{program: p, json: c.Bool("json"), count: map[importer.Outcome]int64{}}
	err = importer.Run(c.Context, importer.Options{
		Root: mount.Root, ArchiveID: id, Account: container.Account(), Container: container.ContainerName(), Prefix: archive.Prefix,
		Blobs: container, Under: c.String("prefix"), DryRun: c.Bool("dry-run"), Parallel: n,
	}, r.add)
	if err != nil {
		return err
	}
	return r.end()
}

// chosenArchive is the archive with an id; 0 is the only one.
func chosenArchive(s *mover.Settings, id uint32) (*mover.Settings, uint32, error) {
	var ids []string
	for _, a := range s.Archives {
		for _, own := range a.IDs {
			if own == id && id != 0 || own == copytool.AnyArchive && id != 0 {
				return a, id, nil
			}
			ids = append(ids, mover.IDText(own))
		}
	}
	if only := s.Archives[0].IDs; id == 0 && len(ids) == 1 && only[0] != copytool.AnyArchive {
		return s.Archives[0], only[0], nil
	}
	return nil, 0, options.Usagef("--archive: give one of the configuration's archive ids: %s", strings.Join(ids, ", "))
}

// An importReport counts outcomes, and prints those that somebody has to look at.
type importReport struct {
	*program
	json bool

	mu    sync.Mutex // guards what follows, and the output
	count map[importer.Outcome]int64
	bytes int64
}

func (r *importReport) add(res importer.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[res.Outcome]++
	if res.Outcome == importer.Imported || res.Outcome == importer.Completed {
		r.bytes += res.Size
	}
	switch {
	case r.json:
		r.line(res)
	case res.Outcome == importer.Failed:
		fmt.Fprintf(r.stderr, "%s: %s: %s\n", programName, printable(string(res.Blob)), options.OneLine(res.Err.Error()))
	}
}

func (r *importReport) line(res importer.Result) {
	line := struct {
		Blob    string           `json:"blob"`
		Path    string           `json:"path,omitempty"`
		Outcome importer.Outcome `json:"outcome"`
		Size    int64            `json:"size"`
		Error   string           `json:"error,omitempty"`
	}{string(res.Blob), jobs.EscapePath(res.Path), res.Outcome, res.Size, ""}
	if res.Err != nil {
		line.Error = options.OneLine(res.Err.Error())
	}
	_ = json.NewEncoder(r.stdout).Encode(line) // who listens no more needs no line
}

func (r *importReport) end() error {
	if !r.json {
		fmt.Fprintf(r.stdout, "%s imported (%s), %s there already, %s skipped, %s failed\n", counted(r.count[importer.Imported]+r.count[importer.Completed], "file"),
			sizeText(r.bytes), countText(r.count[importer.Exists]), countText(r.count[importer.Skipped]), countText(r.count[importer.Failed]))
	}
	if n := r.count[importer.Failed]; n > 0 {
		return fmt.Errorf("%s could not be made; mend the cause and import again", counted(n, "file"))
	}
	return nil
}

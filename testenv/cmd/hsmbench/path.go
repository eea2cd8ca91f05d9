package main

import (
	"fmt"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/blobsink"
	"lhsm-azblob/testenv/meter"
)

const (
	archive = "archive"
	restore = "restore"
)

// What a file is after each step.
const (
	archived = llapi.HSExists | llapi.HSArchived
	released = archived | llapi.HSReleased
)

// copytoolOptions are what one of the two ways to run it gives it.
func (r *round) copytoolOptions(who string) []string {
	if who == defaults {
		return r.copytool
	}
	own := []string{"--transfers", fmt.Sprint(r.transfers)}
	if r.fill == blobsink.Sparse {
		own = append(own, "--holes-after", "0") // the file has just been made
	}
	return append(own, r.copytool...)
}

// startTool starts one that serves the coordinator.
func (r *round) startTool(who string) (*testenv.Process, error) {
	if who == library {
		return testenv.StartReady(r.world.command("lustreloop", "-size", fmt.Sprint(r.size), r.world.mount))
	}
	return r.world.startCopytool(r.copytoolOptions(who))
}

// wholePath archives, releases and restores files through a copytool of its own.
func (r *round) wholePath(who string, set *fileSet) error {
	tool, err := r.startTool(who)
	if err != nil {
		return err
	}
	defer stop(tool)
	if err := r.timed(archive, who, tool, func() error { return r.world.finish(set, llapi.UserArchive) }); err != nil {
		return err
	}
	if err := set.allAre(archived); err != nil {
		return err
	}
	if err := set.ask(llapi.UserRelease); err != nil {
		return err
	}
	if err := set.allAre(released); err != nil {
		return err
	}
	if err := r.timed(restore, who, tool, func() error { return r.world.finish(set, llapi.UserRestore) }); err != nil {
		return err
	}
	return set.allAre(archived)
}

// finish asks for all files, and waits until the coordinator has no more to do.
func (w *world) finish(set *fileSet, action llapi.UserAction) error {
	if err := set.ask(action); err != nil {
		return err
	}
	return w.waitIdle()
}

// timed measures the copytool while something is done.
func (r *round) timed(op, who string, tool *testenv.Process, do func() error) error {
	m, err := meter.Start(r.world.ctx, tool.Cmd.Process.Pid, r.world.stats)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	f, err := m.Stop()
	if err != nil {
		return err
	}
	r.add(op, who, sample{Figures: f})
	return nil
}

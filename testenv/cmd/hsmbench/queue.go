package main

import (
	"errors"
	"fmt"
	"slices"

	"lhsm-azblob/llapi"
)

// moveQueued archives the files of the case batch by batch. The coordinator gives
// out nothing until it has all of a batch, and then everything at once.
func moveQueued(r *round, who string) (err error) {
	set, err := r.world.makeFiles(fmt.Sprintf("%s-%d", who, r.number), r.benchCase)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.remove()) }()
	if _, err := r.world.standin("set_param", fmt.Sprintf("mdt.*.hsm.max_requests=%d", len(set.fids))); err != nil {
		return err
	}
	tool, err := r.world.startCopytool(r.copytoolOptions(who))
	if err != nil {
		return err
	}
	defer stop(tool)
	if err := r.timed(archive, who, tool, func() error { return r.batches(set) }); err != nil {
		return err
	}
	return set.allAre(archived)
}

func (r *round) batches(set *fileSet) error {
	for fids := range slices.Chunk(set.fids, r.batch) {
		if _, err := r.world.standin("set_param", "mdt.*.hsm_control=disabled"); err != nil {
			return err
		}
		if err := (&fileSet{world: r.world, fids: fids}).ask(llapi.UserArchive); err != nil {
			return err
		}
		if _, err := r.world.standin("set_param", "mdt.*.hsm_control=enabled"); err != nil {
			return err
		}
		if err := r.world.waitIdle(); err != nil {
			return err
		}
	}
	return nil
}

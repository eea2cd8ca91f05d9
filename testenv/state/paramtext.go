package state

import (
	"fmt"
	"strconv"
	"strings"
)

// This file renders the lists that lctl get_param shows, character for character.

// recordsPerLog is when Lustre's catalog goes on to its next plain log, which
// shows in the first number of idx.
const recordsPerLog = 64767

func (fs *FS) actionsText() string {
	var lines []string
	for e := fs.cdt.log.Front(); e != nil; e = e.Next() {
		r := e.Value.(*record)
		lines = append(lines, fmt.Sprintf("lrh=[type=10680000 len=%d idx=%d/%d] %s datalen=%d status=%s data=[%s]",
			(136+len(r.data)+7)&^7, 1+(r.index-1)/recordsPerLog, 1+(r.index-1)%recordsPerLog,
			r.text(r.dfid), len(r.data), r.status, shortData(r.data)))
	}
	return strings.Join(lines, "\n")
}

// text is what hsm.actions and hsm.active_requests have in common.
func (r *record) text(dfid FID) string {
	return fmt.Sprintf("fid=%s dfid=%s compound/cookie=0x0/%#x action=%s archive#=%d flags=%#x extent=%#x-%#x gid=%#x",
		r.fid, kernelFID(dfid), r.cookie, r.action, int32(r.archive), uint64(r.flags), r.extent.Offset, r.extent.Length, r.gid)
}

// kernelFID prints a FID as the kernel does, whose zero has a prefix.
func kernelFID(f FID) string { return fmt.Sprintf("[%#x:%#x:%#x]", f.Seq, f.OID, f.Ver) }

// shortData shows the first five bytes, all that Lustre's buffer has room for.
func shortData(data []byte) string { return fmt.Sprintf("%X", data[:min(5, len(data))]) }

func (fs *FS) activeText() string {
	var lines []string
	for e := fs.cdt.order.Front(); e != nil; e = e.Next() {
		run := e.Value.(*running)
		lines = append(lines, fmt.Sprintf("%s data=[%s] canceled=%d uuid=%s done=%d",
			run.rec.text(run.dfid), shortData(run.rec.data), bit(run.canceled, 1), run.uuid, run.moved.total()))
	}
	return strings.Join(lines, "\n")
}

func (fs *FS) agentsText() string {
	var lines []string
	for _, a := range fs.cdt.agents {
		lines = append(lines, fmt.Sprintf("uuid=%s archive_id=%s requests=[current:%d ok:%d errors:%d]",
			a.uuid, archiveText(a.archives), a.current, a.ok, a.errors))
	}
	return strings.Join(lines, "\n")
}

func archiveText(ids []uint32) string {
	if len(ids) == 0 {
		return "ANY"
	}
	words := make([]string, len(ids))
	for n, id := range ids {
		words[n] = strconv.FormatUint(uint64(id), 10)
	}
	return strings.Join(words, ",")
}

func (fs *FS) changelogUsersText() string {
	c := &fs.changes
	lines := []string{
		fmt.Sprintf("current_index: %d", c.last),
		fmt.Sprintf("%-29s %s", "ID", "index (idle) mask"),
	}
	now := fs.now()
	for _, u := range c.users {
		line := fmt.Sprintf("%-24s %10d (%d)", u.id, u.index, (now-u.seen)/1e9)
		if u.mask != 0 {
			line += " mask=" + strings.ReplaceAll(strings.TrimSpace(u.mask.String()), " ", ",")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

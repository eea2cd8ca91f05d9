package copytool

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// released archives a file and drops its data.
func (r *rig) released(path, content string) llapi.FID {
	r.t.Helper()
	fid := r.write(path, content)
	r.archive(fid)
	r.release(fid)
	r.store.log()
	return fid
}

func TestRestoreIsOneRequest(t *testing.T) {
	r := newRig(t)
	fid := r.released("dir/f", "content")
	r.rename(fid, "elsewhere")
	r.restore(fid)
	r.wantContent(fid, "content")
	if got := r.store.log(); !slices.Equal(got, []string{"get dir/f"}) {
		t.Errorf("requests: %q, want one get", got)
	}
}

// TestRestoreAsksOnceForTheSize of a small file: not again what the scheduler has just
// asked, and again what it knows from an earlier try.
func TestRestoreAsksOnceForTheSize(t *testing.T) {
	r := newRig(t)
	fid := r.released("f", "content")
	task := newTask(llapi.ActionItem{Action: llapi.ActionRestore, FID: fid}, &llapi.ActionList{}, time.Now())
	before := r.stats
	r.agent.sizeOf(task)
	j := r.agent.jobOf(task)
	if n, err := j.releasedSize(); n != 7 || err != nil || r.stats != before+1 {
		t.Errorf("size: %d, %v after %d stats, want 7 after one", n, err, r.stats-before)
	}
	j.setSize(7)
	r.change(fid, "new")
	if n, err := j.releasedSize(); n != 3 || err != nil {
		t.Errorf("size at another try: %d, %v, want 3", n, err)
	}
}

func TestRestoreOfAnEmptyFile(t *testing.T) {
	r := newRig(t)
	fid := r.released("f", "")
	r.restore(fid)
	r.wantContent(fid, "")
}

func TestRestoreGivesTheLayoutBack(t *testing.T) {
	r := newRig(t)
	lov := make([]byte, 80) // header and two objects
	binary.LittleEndian.PutUint32(lov, lovMagicV1)
	lov[28] = 2 // stripes
	fid := r.write("f", "content")
	r.setXattr(fid, layoutXattr, string(lov))
	r.archive(fid)
	r.release(fid)
	r.restore(fid)
	want := layoutTemplate(lov)
	if got := r.files[fid].layout; !slices.Equal(got, want) || len(got) != lovSizeV1 {
		t.Errorf("layout set: %x, want the header %x", got, want)
	}
}

// TestRestoreWhereTheLayoutIsRefused: without any Lustre would take no data.
func TestRestoreWhereTheLayoutIsRefused(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.setXattr(fid, layoutXattr, string(composite(defaultLayout())))
	r.archive(fid)
	r.release(fid)
	r.refuse = func([]byte) error { return syscall.EINVAL }
	r.want(llapi.ActionRestore, fid, syscall.EINVAL)
	r.wantCode(fid, LustreError)
	r.refuse = func(lov []byte) error {
		if !slices.Equal(lov, defaultLayout()) {
			return syscall.EINVAL
		}
		return nil
	}
	r.restore(fid)
	r.wantContent(fid, "content")
	if got := r.files[fid].layout; !slices.Equal(got, defaultLayout()) {
		t.Errorf("layout set: %x, want the default", got)
	}
}

// layoutOnMDT has so many bytes on the metadata target, and the rest not.
func layoutOnMDT(size uint64) []byte {
	lov := layoutInTwo(size)
	first := lov[binary.LittleEndian.Uint32(lov[compEntries+compOffset:]):]
	binary.LittleEndian.PutUint32(first[lovPattern:], lovOverMDT)
	binary.LittleEndian.PutUint16(first[lovStripeCount:], 0)
	return lov
}

// layoutInTwo has one stripe for so many bytes, and the default for the rest.
func layoutInTwo(size uint64) []byte {
	first := defaultLayout()
	first[lovStripeCount] = 1
	lov := composite(first, defaultLayout())
	binary.LittleEndian.PutUint64(lov[compEntries+compEnd:], size)
	binary.LittleEndian.PutUint64(lov[compEntries+compEntrySize+compEnd:], math.MaxUint64)
	return lov
}

// TestRestoreWhereNobodyHearsOfTheLayout: that is not refused, and the next restore sets it.
func TestRestoreWhereNobodyHearsOfTheLayout(t *testing.T) {
	r := newRig(t)
	lov := composite(defaultLayout())
	fid := r.write("f", "content")
	r.setXattr(fid, layoutXattr, string(lov))
	r.archive(fid)
	r.release(fid)
	var unheard error = syscall.ESHUTDOWN
	r.refuse = func([]byte) (err error) {
		err, unheard = unheard, nil
		return err
	}
	r.want(llapi.ActionRestore, fid, syscall.ESHUTDOWN)
	r.wantCode(fid, LustreError)
	r.restore(fid)
	if got := r.files[fid].layout; !slices.Equal(got, lov) {
		t.Errorf("layout set: %x, want %x", got, lov)
	}
}

// TestRestoreWhereThePoolIsFull, and then the rest: it waits for that only.
func TestRestoreWhereThePoolIsFull(t *testing.T) {
	for _, refusal := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EINVAL} {
		inBubble(t, func(t *testing.T, r *rig) {
			fid := r.write("f", "content")
			r.setXattr(fid, layoutXattr, string(composite(defaultLayout())))
			r.archive(fid)
			r.release(fid)
			tries := 0
			r.refuse = func(lov []byte) error {
				if tries++; slices.Equal(lov, defaultLayout()) && tries > 2 {
					return nil
				} else if slices.Equal(lov, defaultLayout()) {
					return syscall.ENOSPC
				}
				return refusal
			}
			r.restore(fid)
			r.wantContent(fid, "content")
			if got := r.files[fid].layout; !slices.Equal(got, defaultLayout()) || tries != 4 {
				t.Errorf("%v: layout %x after %d tries, want the default at the fourth", refusal, got, tries)
			}
		})
	}
}

// TestRestoreWhereTheDirectoryHasAnotherLayout: files that are made there have data on
// the metadata target, and the released one has none.
func TestRestoreWhereTheDirectoryHasAnotherLayout(t *testing.T) {
	onMDT, short := layoutOnMDT(1<<16), layoutOnMDT(4)
	binary.LittleEndian.PutUint64(short[compEntries+compEntrySize+compEnd:], 6)
	for _, tt := range []struct {
		name        string
		usual, file []byte
		want        []byte
		begun       int
	}{
		{"plain", defaultLayout(), nil, defaultLayout(), 1},
		{"on the metadata target", onMDT, nil, layoutInTwo(1 << 16), 2},
		{"only part of the file", short, nil, defaultLayout(), 2},
		{"both on the metadata target", onMDT, onMDT, onMDT, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			fid := r.released("f", "content")
			if tt.file != nil {
				r.setXattr(fid, layoutXattr, string(tt.file))
			}
			r.usual = tt.usual
			r.restore(fid)
			r.wantContent(fid, "content")
			if got := r.files[fid].layout; !slices.Equal(got, tt.want) || r.begun != tt.begun {
				t.Errorf("layout %x after %d files, want %x after %d", got, r.begun, tt.want, tt.begun)
			}
		})
	}
}

// TestRestoreWhereTheMetadataTargetIsShortOfSpace: Lustre makes its part smaller than
// was asked for, which a client does not see before it has used the file.
func TestRestoreWhereTheMetadataTargetIsShortOfSpace(t *testing.T) {
	r := newRig(t)
	onMDT := layoutOnMDT(1 << 16)
	fid := r.write("f", "content")
	r.setXattr(fid, layoutXattr, string(onMDT))
	r.archive(fid)
	r.release(fid)
	r.restore(fid)
	if got := r.files[fid].layout; !slices.Equal(got, onMDT) || r.begun != 1 {
		t.Errorf("layout %x after %d files, want %x after one", got, r.begun, onMDT)
	}
	r.shrink = func(lov []byte) []byte {
		if sizeOnMDT(lov) == 0 {
			return lov
		}
		return layoutOnMDT(1 << 15)
	}
	r.release(fid)
	r.restore(fid)
	r.wantContent(fid, "content")
	if got := r.files[fid].layout; !slices.Equal(got, layoutInTwo(1<<16)) || r.begun != 3 {
		t.Errorf("layout %x after %d files, want %x after three", got, r.begun, layoutInTwo(1<<16))
	}
	r.setXattr(fid, layoutXattr, string(defaultLayout()))
	r.release(fid)
	r.restore(fid)
	if got := r.files[fid].layout; !slices.Equal(got, layoutInTwo(1<<16)) || r.begun != 4 {
		t.Errorf("layout %x after %d files, want %x after four: the file has no data there", got, r.begun, layoutInTwo(1<<16))
	}
}

// TestRestoreIsStripedWhenThereIsRoom: it had begun by then, without a layout.
func TestRestoreIsStripedWhenThereIsRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		r.setXattr(fid, layoutXattr, string(defaultLayout()))
		r.archive(fid)
		r.release(fid)
		tries := 0
		r.refuse = func([]byte) error {
			if tries++; tries <= 4 { // twice, each with the default as well
				return syscall.ENOSPC
			}
			return nil
		}
		r.restore(fid)
		if got := r.files[fid].layout; got == nil {
			t.Error("no layout has been set")
		}
	})
}

func TestRestoreOfABlobThatChanged(t *testing.T) {
	r := newRig(t)
	fid := r.released("f", "content")
	r.store.foreign("f", "CONTENT", nil)
	r.want(llapi.ActionRestore, fid, syscall.EIO)
	r.wantCode(fid, BlobChanged)
	r.wantContent(fid, "\x00\x00\x00\x00\x00\x00\x00")
}

// TestRestoreOfABlobWithNewMetadata: another ETag, the same bytes, which the
// CRC in the file's identity proves.
func TestRestoreOfABlobWithNewMetadata(t *testing.T) {
	r := newRig(t)
	fid := r.released("f", "content")
	r.store.touch("f")
	r.restore(fid)
	r.wantContent(fid, "content")
}

// TestRestoreTriesAgainFromNothing: what the first try has written is not left where
// the second one has a hole.
func TestRestoreTriesAgainFromNothing(t *testing.T) {
	r := newRig(t)
	zeros := strings.Repeat("\x00", 2*blobstore.HoleSize)
	fid := r.released("f", zeros)
	r.store.touch("f")
	r.restore(fid)
	r.wantContent(fid, zeros)
}

func TestRestoreOfAMissingBlob(t *testing.T) {
	r := newRig(t)
	fid := r.released("f", "content")
	r.store.drop("f")
	r.want(llapi.ActionRestore, fid, syscall.ENOENT)
	r.wantCode(fid, BlobMissing)
}

func TestRestoreNeverGoesByPathWithAnIdentity(t *testing.T) {
	r := newRig(t)
	fid := r.released("f", "content")
	r.store.drop("f")
	r.rename(fid, "g")
	r.store.foreign("g", "CONTENT", nil)
	r.want(llapi.ActionRestore, fid, syscall.ENOENT)
}

// TestRestoreFollowsACopyThatMoves: between the look at the identity and the
// download the path is taken by another file.
func TestRestoreFollowsACopyThatMoves(t *testing.T) {
	r := newRig(t)
	fid := r.released("a", "first")
	r.rename(fid, "b")
	second := r.write("a", "second")
	moved := false
	r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
		if op == "get" && !moved {
			moved = true
			r.takePath(t, second)
		}
		return nil
	}
	r.restore(fid)
	r.wantContent(fid, "first")
}

func TestRestoreOfAWrongLength(t *testing.T) {
	r := newRig(t)
	r.store.foreign("f", "longer than the file", nil)
	fid := r.write("f", "content")
	r.want(llapi.ActionRestore, fid, syscall.EIO)
	r.wantCode(fid, SizeMismatch)
}

// TestRestoreWithoutIdentity goes by what other tools wrote, then by the path.
func TestRestoreWithoutIdentity(t *testing.T) {
	for name, xattrs := range map[string]map[string]string{
		"path":      nil,
		"az":        {"trusted.lhsm_uuid": "az://ctr/elsewhere/blob"},
		"URL":       {"trusted.lhsm_url": "https://acct.blob.core.windows.net/ctr/elsewhere/blob?sig=secret"},
		"name":      {"trusted.lhsm_uuid": "elsewhere/blob\x00"},
		"not ours":  {"trusted.lhsm_url": "https://acct.blob.core.windows.net/other/elsewhere/blob"},
		"URL first": {"trusted.lhsm_url": "az://ctr/elsewhere/blob", "trusted.lhsm_uuid": "az://ctr/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			want := "elsewhere"
			if name == "path" || name == "not ours" {
				want = "by a path"
			}
			r.store.foreign("elsewhere/blob", "elsewhere", nil)
			r.store.foreign("f", "by a path", nil)
			fid := r.write("f", "xxxxxxxxx")
			for k, v := range xattrs {
				r.setXattr(fid, k, v)
			}
			r.restore(fid)
			r.wantContent(fid, want)
		})
	}
}

// TestRestoreByPathLeavesOtherFilesAlone: the blob there says whose it is.
func TestRestoreByPathLeavesOtherFilesAlone(t *testing.T) {
	r := newRig(t)
	owner := r.write("a", "owner's")
	r.archive(owner)
	r.rename(owner, "b")
	fid := r.write("a", "fid's  ")
	r.want(llapi.ActionRestore, fid, syscall.EIO)
	r.wantCode(fid, BlobChanged)
}

func TestRestoreFromTheArchiveTier(t *testing.T) {
	r := newRig(t)
	fid := r.released("f", "content")
	r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
		return fail(op, n, blobstore.ErrArchivedTier)
	}
	r.want(llapi.ActionRestore, fid, syscall.ENOMEDIUM)
	r.wantCode(fid, BlobArchived)
}

func TestRestoreOfAnotherContainersCopy(t *testing.T) {
	r := newRig(t)
	fid := r.released("f", "content")
	id := r.identity(fid)
	id.Container = "gone"
	if err := writeIdentity(r.fakeLustre, Ref{FID: fid}, id, SetAny); err != nil {
		t.Fatal(err)
	}
	r.want(llapi.ActionRestore, fid, syscall.ENXIO)
	r.wantCode(fid, NoArchiveConfigured)
}

// TestRestoreOfALongLayout: the blob has what would make the identity too large.
func TestRestoreOfALongLayout(t *testing.T) {
	r := newRig(t)
	lov := make([]byte, maxLayout+8)
	binary.LittleEndian.PutUint32(lov, 0x0BD60BD0)
	fid := r.write("f", "content")
	r.setXattr(fid, layoutXattr, string(lov))
	r.archive(fid)
	if id := r.identity(fid); id.Layout != nil || !id.LayoutInBlob {
		t.Errorf("identity has %d bytes of layout, in the blob: %t", len(id.Layout), id.LayoutInBlob)
	}
	r.release(fid)
	r.restore(fid)
	if got := r.files[fid].layout; !slices.Equal(got, lov) {
		t.Errorf("layout set: %d bytes, want %d", len(got), len(lov))
	}
}

// TestRestoreOfUnfinishedCopy: a blob that a copy has not made is not what was archived,
// whatever its metadata say.
func TestRestoreOfUnfinishedCopy(t *testing.T) {
	r := newRig(t)
	r.store.foreign("f", "content", nil)
	fid := r.write("f", "xxxxxxx")
	r.store.mu.Lock()
	r.store.blobs["f"].unfinished = true
	r.store.mu.Unlock()
	r.want(llapi.ActionRestore, fid, syscall.EIO)
	r.wantCode(fid, BlobChanged)
	if log := r.store.log(); !slices.Equal(log, []string{"head f"}) {
		t.Errorf("requests: %q, want one look", log)
	}
	r.store.mu.Lock()
	r.store.blobs["f"].unfinished = false
	r.store.mu.Unlock()
	r.restore(fid)
	r.wantContent(fid, "content")
}

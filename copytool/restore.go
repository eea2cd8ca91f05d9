package copytool

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// doRestore brings a file's content back. Bytes go into a nameless file that
// takes the place of the released one when the action ends well, so nothing
// that fails here is ever seen by a reader.
func (j *job) doRestore(ctx context.Context) error {
	size, err := j.releasedSize()
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	j.sched.sized(j.t, size)
	j.setSize(size)
	j.findPath()
	p, err := j.locate(ctx)
	if err != nil {
		return err
	}
	j.blob = p.name
	if p.size() != size {
		return failf(SizeMismatch, "the copy %q has %d bytes, the file has %d", p.name, p.size(), size)
	}
	layout := j.layoutFor(ctx, p)
	if err := j.whenThereIsRoom(ctx, func() error { return j.fill(ctx, p, layout) }); err != nil {
		return err
	}
	if p.id != nil {
		j.recent.put(j.t.fid, p.id)
	}
	j.bytes = size
	j.t.moved.Store(size)
	j.metrics.restored.Add(float64(size))
	return nil
}

// releasedSize is the size of the file. Of a small one the scheduler may have asked
// for it, only just: such a task goes on at once.
func (j *job) releasedSize() (int64, error) {
	if n := j.t.size.Load(); !j.sized && 0 < n && n < largeFile {
		return n, nil
	}
	attr, err := j.fs.Stat(j.t.fid)
	return attr.Size, err
}

// fill makes the nameless file, if there is none yet, and writes the copy into it.
func (j *job) fill(ctx context.Context, p *place, layout []byte) error {
	if err := j.makeFile(layout); err != nil {
		return err
	}
	if err := j.fetch(ctx, p); err != nil {
		return err
	}
	// The library does so as well, but keeps to itself what came of it.
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync the restored file: %w", err)
	}
	return nil
}

// layoutFor is the stripe layout that the file had. Without one the directory's
// default serves.
func (j *job) layoutFor(ctx context.Context, p *place) []byte {
	if p.id == nil {
		return layoutTemplate(attributesOf(p.info).Layout)
	}
	if !p.id.LayoutInBlob {
		return layoutTemplate(p.id.Layout)
	}
	info, err := p.archive.Store.Stat(ctx, p.name)
	if err != nil {
		return nil // the download will say what is wrong
	}
	return layoutTemplate(attributesOf(info).Layout)
}

// makeFile makes the nameless file, if there is none yet. Lustre refuses at the end,
// when all is done, to give a file that has no data on the metadata target a layout
// that puts some there, or another number of bytes (mdd_swap_layouts): an imported file
// that was archived from such a layout, or is in a directory that has it.
func (j *job) makeFile(layout []byte) error {
	if !j.takes(layout) {
		j.log.Debug("the file had data on the metadata target; they come back to the others")
		layout = offMDT(layout, j.size)
	}
	if j.action == nil {
		if err := j.beginRestore(layout != nil); err != nil {
			return err
		}
	}
	if layout != nil {
		if err := j.stripe(layout); err != nil || sizeOnMDT(layout) == 0 {
			return err
		}
	}
	return j.checkLayout(layout)
}

// checkLayout begins anew if the nameless file has a layout that the file cannot be
// given: the directory's, or another than was asked for. Short of space the metadata
// target makes its part smaller, and says nothing (lod_dom_stripesize_choose).
func (j *job) checkLayout(asked []byte) error {
	lov, err := j.layoutNow()
	if err != nil || j.takes(lov) {
		return nil // without a layout the first write fails
	}
	if asked == nil {
		asked = layoutTemplate(lov)
	}
	j.abandon()
	return j.makeFile(offMDT(asked, j.size))
}

// layoutNow is the layout of the nameless file. A client is not told of the one that
// was just set, and asks when the file is used (ll_layout_refresh).
func (j *job) layoutNow() ([]byte, error) {
	lov, err := j.fs.Get(Ref{File: j.file}, layoutXattr)
	if !errors.Is(err, syscall.ENODATA) {
		return lov, err
	}
	if _, err := j.fs.DataVersion(j.file); err != nil {
		return nil, err
	}
	return j.fs.Get(Ref{File: j.file}, layoutXattr)
}

// takes tells whether the file can be given the layout.
func (j *job) takes(layout []byte) bool {
	size := sizeOnMDT(layout)
	if size == 0 {
		return true
	}
	now, err := j.fs.Get(Ref{FID: j.t.fid}, layoutXattr)
	return err == nil && sizeOnMDT(now) == size
}

func (j *job) beginRestore(hasLayout bool) error {
	mdt, err := j.fs.MDTIndex(j.t.fid)
	if err != nil {
		return fmt.Errorf("metadata target: %w", err)
	}
	flags := 0
	if hasLayout {
		flags = llapi.OpenDelayCreate
	}
	return j.begin(mdt, flags)
}

// stripe gives the nameless file its layout, if it has none yet, and the file system's
// default in place of one that Lustre refuses: without any it takes no data. A pool that
// is full is a refusal as well: there is no telling whether it will ever have room, and
// others would be held back until then.
func (j *job) stripe(layout []byte) error {
	err := j.fs.SetLayout(j.file, layout)
	if err == nil || errors.Is(err, syscall.EEXIST) {
		return nil
	}
	if isUnheard(err) {
		return fmt.Errorf("stripe the restored file: %w", err)
	}
	if derr := j.fs.SetLayout(j.file, defaultLayout()); derr != nil && !errors.Is(derr, syscall.EEXIST) {
		return fmt.Errorf("stripe the restored file: %w; as it was: %w", derr, err)
	}
	j.log.Info("the stripe layout is not restored; the file system's default serves", "err", err)
	return nil
}

// isUnheard tells whether it is the client that says so, of a server that has gone or
// has evicted it: then the nameless file is lost as well.
func isUnheard(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EINTR, syscall.ENOTCONN, syscall.ESHUTDOWN, syscall.ETIMEDOUT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// fetch downloads exactly the blob that was archived. If it is not the one at
// that name, the copy may have been moved since the identity was read; and a
// blob that only got other metadata still is the copy, as its CRC proves.
func (j *job) fetch(ctx context.Context, p *place) error {
	for try := range maxAttempts {
		if err := j.makeRoomFor(p.size(), try > 0); err != nil {
			return err
		}
		err := j.download(ctx, p)
		if p.id == nil || !errors.Is(err, blobstore.ErrChanged) && !errors.Is(err, blobstore.ErrNotFound) {
			return err
		}
		next, nextErr := j.followCopy(ctx, p, err)
		if nextErr != nil {
			return nextErr
		}
		p = next
		j.blob = p.name
	}
	return failf(BlobChanged, "the copy %q changed %d times while it was read", p.name, maxAttempts)
}

// makeRoomFor makes the nameless file read as zeros where nothing will be written: what
// another try has left there would stay. Without holes the writes give it its size.
func (j *job) makeRoomFor(size int64, isUsed bool) error {
	if isUsed {
		if err := j.giveBack(); err != nil {
			return err
		}
	}
	if size <= blobstore.HoleSize {
		return nil
	}
	if err := j.file.Truncate(size); err != nil {
		return fmt.Errorf("set the size of the restored file: %w", err)
	}
	return nil
}

func (j *job) download(ctx context.Context, p *place) error {
	o := blobstore.DownloadOptions{
		ETag: p.info.ETag, Size: p.info.Size, CRC64: p.info.CRC64, CheckCRC64: p.info.HasCRC64, ZeroBlocks: p.info.ZeroBlocks,
		Holes: true, Progress: j.t.moved.Store,
	}
	if p.id != nil {
		o.ETag, o.Size, o.CRC64, o.CheckCRC64, o.ZeroBlocks = p.id.Blob.ETag, p.id.Size, p.id.CRC64, p.id.HasCRC64, p.id.ZeroBlocks
	}
	j.t.moved.Store(0)
	_, err := p.archive.Store.Download(ctx, p.name, j.file, o)
	return err
}

// followCopy is where the copy is if it was not at p, where the download ended
// with err.
func (j *job) followCopy(ctx context.Context, p *place, err error) (*place, error) {
	now, idErr := readIdentity(j.fs, j.ref)
	if idErr != nil {
		return nil, errors.Join(err, idErr)
	}
	if now != nil && !sameCopy(now, p.id) && now.Size == p.id.Size {
		return j.placeOf(now)
	}
	if errors.Is(err, blobstore.ErrNotFound) {
		return nil, err
	}
	info, statErr := p.archive.Store.Stat(ctx, p.name)
	if statErr != nil {
		return nil, statErr
	}
	if info.ETag == p.id.Blob.ETag || !p.id.Claims(info, j.o.FSName, j.t.fid) {
		return nil, failf(BlobChanged, "the blob %q is not the one that was archived; it was changed %s: %w", p.name, info.Modified.UTC().Format("2006-01-02 15:04:05 MST"), err)
	}
	j.log.Warn("the copy's metadata was changed by somebody; its content is checked by CRC", "blob", string(p.name))
	id := *p.id
	id.Blob.ETag = info.ETag
	return &place{archive: p.archive, name: p.name, id: &id}, nil
}

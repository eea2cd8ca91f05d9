package blobstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"golang.org/x/sync/errgroup"
)

// DownloadOptions are the particulars of a [Container.Download].
type DownloadOptions struct {
	ETag  string // which blob exactly; required
	Size  int64  // its length; any other is ErrChanged
	CRC64 uint64 // what its bytes must add up to, if CheckCRC64

	CheckCRC64 bool

	// Holes leaves out the writes of zeros, but of a blob of at most HoleSize. dst must
	// then read as zeros where nothing was written, and the caller sets its length.
	Holes bool

	// ZeroBlocks is how many blocks of zeros the blob has, as its [Info] says. If
	// there are any, and Holes and CheckCRC64 are set, its block list is asked for
	// and they are not fetched.
	ZeroBlocks int

	// Progress is told how many bytes have been moved so far: each time a larger
	// number, from one goroutine at a time.
	Progress func(total int64)
}

// Download copies the blob n into dst, in parallel and in place. On an error
// dst holds rubbish.
//
// Errors: [ErrNotFound]; [ErrChanged] when the blob is not the one with that
// ETag and length; [ErrChecksum]; [ErrArchivedTier]. An error of dst is wrapped.
func (c *Container) Download(ctx context.Context, n Name, dst io.WriterAt, o DownloadOptions) (Info, error) {
	d := &download{
		Container: c, name: n, dst: dst, options: o, progress: progress{report: o.Progress},
		piece: min(c.options.BlockSize, c.pool.memory.largestOther()),
		// A write is a copy, and keeps a processor busy. More of them would only wait
		// for the lock of the file, and busily at that.
		writers: make(chan struct{}, max(1, runtime.NumCPU()/2)),
	}
	info, err := d.run(ctx)
	return info, c.fail("download", n, c.goneOr(ctx, n, err))
}

// HoleSize is the unit in which zeros are left out, in bytes.
const HoleSize = 64 << 10

// download is one blob on its way.
type download struct {
	*Container
	name     Name
	dst      io.WriterAt
	options  DownloadOptions
	piece    int64 // that one request fetches, at most
	info     Info  // from the answer that has the first byte, if that is fetched
	progress progress
	crc      crcSum
	writers  chan struct{} // held by those who write
}

func (d *download) run(ctx context.Context) (Info, error) {
	o := d.options
	if o.ETag == "" || o.Size < 0 {
		return Info{}, fmt.Errorf("no ETag, or size %d", o.Size)
	}
	d.info = Info{Name: d.name, Size: o.Size}
	if err := d.fetchAll(ctx); err != nil {
		return Info{}, err
	}
	if crc := d.crc.sum(); o.CheckCRC64 && crc != o.CRC64 {
		return Info{}, &Error{Kind: ErrChecksum, Err: fmt.Errorf("%w: the bytes have CRC-64 %016x, not %016x", ErrChecksum, crc, o.CRC64)}
	}
	return d.info, nil
}

// fetchAll gets all pieces, in parallel, and adds up their CRCs. That of zeros which
// are not fetched is part of the sum, so the whole still is proved.
func (d *download) fetchAll(ctx context.Context) (err error) {
	runs := d.zeroRuns(ctx)
	if len(runs) == 0 && d.options.Size <= d.piece {
		return d.fetchAtOnce(ctx)
	}
	g, gctx := errgroup.WithContext(ctx)
	var hand gate
	for p, zero := range d.pieces(runs) {
		if zero {
			d.crc.add(crcOfZeros(p.length), d.options.Size-p.end())
			d.progress.add(p.length)
			continue
		}
		buf, aerr := d.pool.takeInHand(gctx, &hand, d.pool.memory.acquire, p.length)
		if aerr != nil {
			err = aerr
			break
		}
		g.Go(func() error {
			defer hand.release(1)
			defer buf.release()
			return d.move(gctx, buf.bytes, p.offset)
		})
	}
	if werr := g.Wait(); werr != nil {
		return werr
	}
	return err
}

// fetchAtOnce gets a blob that is a single piece: a goroutine for that would have to
// grow its stack first, copy by copy.
func (d *download) fetchAtOnce(ctx context.Context) error {
	buf, err := d.pool.memory.acquire(ctx, d.options.Size)
	if err != nil {
		return err
	}
	defer buf.release()
	return d.move(ctx, buf.bytes, 0)
}

// move gets the piece that data has room for, and puts it into place.
func (d *download) move(ctx context.Context, data []byte, offset int64) error {
	if err := d.fetch(ctx, data, offset); err != nil {
		return err
	}
	d.crc.add(checksum(data), d.options.Size-offset-int64(len(data)))
	return d.write(ctx, data, offset)
}

// fetch fills data with the blob's bytes from offset on. When a body breaks off,
// or an answer makes no sense, it asks for what is missing. The SDK retries until
// an answer begins; from there on it is up to us.
func (d *download) fetch(ctx context.Context, data []byte, offset int64) error {
	most := max(d.pool.options.Retries, 0)
	for resumes := 0; ; resumes++ {
		n, err := d.get(ctx, data, offset, resumes)
		var bad badAnswer
		var known *Error
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &bad):
			return err
		case resumes == most && errors.As(err, &known):
			return known
		case resumes == most:
			return &Error{Kind: ErrUnreachable, Err: fmt.Errorf("no good answer in %d tries: %w", resumes+1, bad.error), Hint: d.networkHint(bad.error)}
		}
		data, offset = data[n:], offset+int64(n)
	}
}

// badAnswer is an answer that did not come to its end, or that the service
// cannot have meant: another one may be better.
type badAnswer struct{ error }

// Unwrap gives the reason.
func (e badAnswer) Unwrap() error { return e.error }

// get makes one request for data, after so many others, and says how much of it has
// arrived.
func (d *download) get(ctx context.Context, data []byte, offset int64, others int) (n int, err error) {
	o := &blob.DownloadStreamOptions{AccessConditions: ifMatches(d.options.ETag)}
	whole := int64(len(data)) == d.options.Size
	if !whole {
		o.Range = blob.HTTPRange{Offset: offset, Count: int64(len(data))}
	}
	cl := &call{op: "get-blob", bytes: int64(len(data))}
	cl.tries.Store(int32(others))
	r, err := d.blob(d.name).DownloadStream(cl.context(ctx), o)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	if err := d.checkHead(&r, int64(len(data)), whole); err != nil {
		return 0, err
	}
	if offset == 0 {
		d.describe(&r)
	}
	if n, err = io.ReadFull(r.Body, data); err != nil {
		return n, badAnswer{err}
	}
	if err := atEnd(r.Body); err != nil {
		return 0, badAnswer{err}
	}
	return n, nil
}

// checkHead holds what the answer's head says against what must be. A blob with
// the right ETag has the right length: if not, the answer was spoiled on its way.
func (d *download) checkHead(r *blob.DownloadStreamResponse, want int64, whole bool) error {
	etag := string(deref(r.ETag))
	switch {
	case etag == "":
		return badAnswer{errors.New("answer has no ETag, so it is not the service's")}
	case !sameETag(etag, d.options.ETag): // the condition was lost on the way
		return &Error{Kind: ErrChanged, Err: fmt.Errorf("%w: it has the ETag %s, not %s", ErrChanged, etag, d.options.ETag)}
	case isUnfinished(r.CopyStatus):
		return &Error{Kind: ErrChanged, Err: fmt.Errorf("%w: the copy that is to make it is %s", ErrChanged, *r.CopyStatus)}
	}
	got, total := deref(r.ContentLength), deref(r.ContentLength)
	if !whole {
		_, after, _ := strings.Cut(deref(r.ContentRange), "/")
		if _, err := fmt.Sscan(after, &total); err != nil {
			return badAnswer{fmt.Errorf("answer to a range has the range %q", deref(r.ContentRange))}
		}
	}
	if total != d.options.Size {
		return badAnswer{&Error{Kind: ErrChanged, Err: fmt.Errorf("%w: it has %d bytes, not %d", ErrChanged, total, d.options.Size)}}
	}
	if got != want {
		return badAnswer{fmt.Errorf("answer has %d bytes, not %d", got, want)}
	}
	return nil
}

// sameETag leaves out the quotes, which the service itself is not sure about.
func sameETag(a, b string) bool { return strings.Trim(a, `"`) == strings.Trim(b, `"`) }

// describe takes over what the first answer tells of the blob.
func (d *download) describe(r *blob.DownloadStreamResponse) {
	d.info.ETag = string(deref(r.ETag))
	d.info.VersionID = deref(r.VersionID)
	d.info.Modified = deref(r.LastModified)
	d.info.setMetadata(r.Metadata)
}

// atEnd checks that a body has no more bytes. Reading to its end also lets the
// connection be used again.
func atEnd(body io.Reader) error {
	var one [1]byte
	n, err := body.Read(one[:])
	switch {
	case n > 0:
		return errors.New("answer has more bytes than it said")
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// write puts a piece into place.
func (d *download) write(ctx context.Context, data []byte, offset int64) error {
	select {
	case d.writers <- struct{}{}:
		defer func() { <-d.writers }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := d.pool.writes.acquire(ctx, 1, int64(len(data))); err != nil {
		return err
	}
	defer d.pool.writes.release(1)
	if !d.options.Holes || d.options.Size <= HoleSize {
		return d.writeAt(data, offset)
	}
	for len(data) > 0 {
		zeros, rest := leadingRun(data, true)
		d.progress.add(int64(zeros))
		data, offset = data[zeros:], offset+int64(zeros)
		if !rest {
			return nil
		}
		filled, _ := leadingRun(data, false)
		if err := d.writeAt(data[:filled], offset); err != nil {
			return err
		}
		data, offset = data[filled:], offset+int64(filled)
	}
	return nil
}

func (d *download) writeAt(data []byte, offset int64) error {
	if len(data) == 0 {
		return nil
	}
	if _, err := d.dst.WriteAt(data, offset); err != nil {
		return localError{fmt.Errorf("write at %d: %w", offset, err)}
	}
	d.progress.add(int64(len(data)))
	return nil
}

var zeros [HoleSize]byte

// leadingRun is the length of the run of units at the beginning of data that are
// all zero, or that are not. more reports whether anything follows.
func leadingRun(data []byte, zero bool) (n int, more bool) {
	for n < len(data) {
		unit := data[n:min(n+HoleSize, len(data))]
		if bytes.Equal(unit, zeros[:len(unit)]) != zero {
			return n, true
		}
		n += len(unit)
	}
	return n, false
}

package verify

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
)

var (
	errChanged = errors.New("the file was changed since its archive")
	errDiffers = errors.New("the blob's bytes are not the file's")
)

// A data compares what is written to it with a file's bytes, as long as Lustre has
// them.
type data struct {
	file    *os.File // nil: released from the start
	version uint64   // of the data when the comparison began
	known   bool     // these are the data that were archived
	gone    atomic.Bool
}

// openData opens a file to compare with. Opening does not restore it, reading
// would: so a released one is not even opened. copied is the data version that the copy is
// of, and untouched says that the file has the time of change that it had then.
func openData(f *jobs.File, copied uint64, untouched bool) (*data, error) {
	d := &data{}
	if f.State.Flags&llapi.HSReleased != 0 {
		d.gone.Store(true)
		return d, nil
	}
	file, err := f.Open()
	if err != nil {
		return nil, err
	}
	d.file = file
	if d.version, err = llapi.DataVersion(int(file.Fd()), llapi.ReadFlush); err != nil {
		d.close()
		return nil, err
	}
	d.known = untouched || d.version == copied
	return d, nil
}

func (d *data) close() {
	if d.file != nil {
		_ = d.file.Close() // nothing was written
	}
}

// released tells whether the file had no data by the end.
func (d *data) released() bool { return d.gone.Load() }

// hasData reads the HSM state: from when somebody releases the file on, it is not
// read any more, nor is one whose state cannot be told.
func (d *data) hasData() bool {
	if d.released() {
		return false
	}
	state, err := llapi.GetStateFD(int(d.file.Fd()))
	if err != nil || state.Flags&llapi.HSReleased != 0 {
		d.gone.Store(true)
	}
	return !d.released()
}

// pieceSize is how much of the file is in memory, for each transfer.
const pieceSize = 256 << 10

// WriteAt implements [io.WriterAt] for the blob's bytes.
func (d *data) WriteAt(p []byte, offset int64) (int, error) {
	mine := make([]byte, min(len(p), pieceSize))
	for done := 0; done < len(p); done += len(mine) {
		mine = mine[:min(len(mine), len(p)-done)]
		if !d.hasData() {
			break
		}
		if err := d.compare(mine, p[done:done+len(mine)], offset+int64(done)); err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// compare reads into mine what has to be theirs.
func (d *data) compare(mine, theirs []byte, offset int64) error {
	_, err := d.file.ReadAt(mine, offset)
	switch {
	case errors.Is(err, io.EOF):
		return errChanged // it is shorter
	case err != nil:
		return fmt.Errorf("read the file: %w", err)
	case bytes.Equal(mine, theirs):
		return nil
	}
	if err := d.unchanged(); err != nil || !d.known {
		return cmp.Or(err, errChanged)
	}
	first := 0
	for mine[first] == theirs[first] {
		first++
	}
	return fmt.Errorf("%w: from byte %d on", errDiffers, offset+int64(first))
}

// unchanged looks whether the file still is what it was.
func (d *data) unchanged() error {
	if d.file == nil || !d.hasData() {
		return nil
	}
	now, err := llapi.DataVersion(int(d.file.Fd()), llapi.ReadFlush)
	if err != nil {
		return err
	}
	if now != d.version && d.hasData() {
		return errChanged
	}
	return nil
}

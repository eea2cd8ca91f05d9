package blobstore

import (
	"context"
	"fmt"
	"time"
)

// confirm looks at the blob that the service says it has made of the blocks. No
// answer speaks of its size or its content, and what comes of this upload may be
// the only copy of a file minutes later. One request more for a file of several
// blocks costs nothing; one that went in a single request is known by its ETag
// and by the CRC that the service has checked.
func (u *upload) confirm(ctx context.Context, crc uint64) (Info, error) {
	now, _, err := u.stat(ctx, u.name)
	if ctx.Err() != nil {
		now, err = u.lookBack(ctx)
	}
	switch {
	case isKind(err, ErrNotFound):
		return Info{}, &Error{Kind: ErrChanged, Err: fmt.Errorf("%w: the service has acknowledged it, and does not have it", ErrChanged)}
	case err != nil:
		return Info{}, err
	case !u.made(now, crc):
		return Info{}, &Error{Kind: ErrChanged, Err: fmt.Errorf("%w: what is there is not what was sent", ErrChanged)}
	}
	return u.info(crc, now.ETag, now.VersionID, now.Modified), nil
}

// settle finds out what became of an upload whose last request failed, or was
// given up: if the blob that is there is ours, it has been carried out all the
// same, and only its answer was lost. An upload that was cancelled too late is
// one that succeeded; else its blob would be nobody's.
func (u *upload) settle(ctx context.Context, crc uint64, err error) (Info, error) {
	if ctx.Err() == nil && !isKind(err, ErrExists, ErrChanged, ErrUnreachable, ErrBusy) {
		return Info{}, err
	}
	now, lookErr := u.lookBack(ctx)
	if lookErr == nil && u.made(now, crc) {
		u.progress.add(u.size - u.progress.done())
		return u.info(crc, now.ETag, now.VersionID, now.Modified), nil
	}
	u.leftovers = isKind(lookErr, ErrNotFound) && isKind(err, ErrExists) && u.options.Condition.createOnly()
	if lookErr == nil && isKind(err, ErrChanged) && u.options.Condition.createOnly() {
		_, cause := classify(err)
		return Info{}, &Error{Kind: ErrExists, Err: cause}
	}
	return Info{}, err
}

// made tells whether a blob is the work of this upload. Its ETag may be another
// by now: somebody who is told of new blobs has put a key into its metadata.
func (u *upload) made(now Info, crc uint64) bool {
	return now.Metadata[keyUpload] == u.nonce.String() && now.Metadata[keyCRC64] == formatCRC64(crc) && now.Size == u.size
}

// lookBackTimeout bounds what a caller who has given up is kept waiting.
const lookBackTimeout = 5 * time.Second

// lookBack looks at the destination, also for a caller who has given up.
func (u *upload) lookBack(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(impatient(ctx)), lookBackTimeout)
	defer cancel()
	now, _, err := u.stat(ctx, u.name)
	return now, err
}

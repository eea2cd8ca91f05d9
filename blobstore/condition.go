package blobstore

// Condition says what must be true of the destination for a write to happen.
// The zero value is [CreateOnly], so that forgetting it cannot lose a blob.
type Condition struct {
	etag      string
	overwrite bool
}

// CreateOnly writes only where no blob is (If-None-Match: *); else [ErrExists].
func CreateOnly() Condition { return Condition{} }

// IfMatch replaces exactly the blob with that ETag (If-Match); else
// [ErrChanged], also when there is none any more. An empty ETag is [CreateOnly].
func IfMatch(etag string) Condition { return Condition{etag: etag} }

// Overwrite writes whatever is there. It is for a policy the administrator
// chose, not a default.
func Overwrite() Condition { return Condition{overwrite: true} }

// createOnly reports whether the destination must not exist.
func (c Condition) createOnly() bool { return !c.overwrite && c.etag == "" }

// Package blobstore keeps whole files as block blobs in one Azure container.
//
// It moves bytes and nothing else: it does not know Lustre, HSM or actions. A
// caller names a blob, hands over an [io.ReaderAt] or an [io.WriterAt], and gets
// back the blob's [Info] or an [*Error]. It is the only package that knows the
// Azure SDK.
//
// # One pool, many containers
//
// A [Pool] holds what a process has only once, and every [Container] opened on
// it shares: connections, requests in flight, bytes of memory, bandwidth, and
// the pause that a busy service asks for.
//
//	           ┌ memory ┐            ┌ request ┐  ┌ pause ┐  ┌ bandwidth ┐
//	Upload ───▶│ buffer │─▶ read ───▶│  slot   │─▶│  503  │─▶│  limiter  │─▶ network
//	           └────────┘   + CRC    └─────────┘  └───────┘  └───────────┘
//
// Memory and slots are handed out by bytes, in turn to small and to large
// transfers, so that a 4 KiB file does not wait for a 4 TiB one, nor the other
// way round. A transfer that fails gives everything back.
//
// # What a reader can see
//
// Upload stages blocks, then commits the list in one request. Until that commit
// a reader sees the previous blob, or none; blocks of an upload that failed are
// never readable, and Azure drops them after a week. Every block ID holds a
// nonce of its upload: staged blocks belong to the name and not to the uploader,
// and two uploads of one name would otherwise mix.
//
// An upload that was interrupted can be resumed by another process, from the list
// of blocks that it was told of ([StagedBlock]). The bytes are still all read, and
// a block is only left out of the sending if the CRC that the service checked when
// it took the block is the CRC of what was read now. So the CRC of the whole file
// is that of bytes that were seen, and a source that changed cannot lead to a blob
// of two halves.
//
// Every write has a [Condition]. A large upload looks at its destination before it
// sends anything: a lease, a retention or the wrong ETag would be told only with
// the last request. A commit whose answer was lost is tried again by the SDK and
// then fails on its own success; Upload recognises its own work by the nonce, which
// is also in the blob's metadata (lhsm_upload). One whose answer arrived is looked
// at as well, so that "done" is said of a blob that was seen.
//
// # Zeros
//
// A block blob has no holes: every byte of it is in a block that its list names. But
// a list may name one block many times. So of the full blocks that hold nothing but
// zeros, one is staged, and named for all of them; its number is one that no other
// block can have. What the caller says is a hole is not even read. The metadata tell
// how many there are (lhsm_zero_blocks), and a download of a blob that has some asks
// for the block list and fetches the rest. The CRC of the whole is that of every byte,
// sent and fetched or not, so a mistake here is a checksum that does not hold.
//
// # Integrity
//
// Each block travels with its CRC-64/NVME, which the service checks. The CRC of
// the whole file is combined from those and kept in metadata (lhsm_crc64).
// Download pins the ETag, checks the length, and compares the CRC if told to.
//
// # Errors
//
// Test with errors.Is against the Err variables of this package. The SDK has
// retried by the time an error is returned, so [ErrBusy] means "try again in
// minutes", not "try again now". A missing container is [ErrNoContainer], never
// [ErrNotFound]: it is a mistake in the configuration, and nobody may conclude
// from it that a blob is gone. An error of the context comes back as itself.
package blobstore

// Package verify proves that what is in the container is what Lustre believes.
//
// For each file it reads what Lustre says (the HSM state), what the copytool has
// noted on the file (which blob is its copy, with ETag, size and CRC-64), and what
// the service says of that blob; and it tells whether they agree, and whether the
// file's data in Lustre can be given up. With [Options].Deep it reads the blob, and
// checks its bytes against the CRC-64 and, where Lustre has the data, against the
// file's own.
//
// It never causes a restore: the state is read before each piece of a file is, and
// what has been released is not read. It changes nothing, neither files nor blobs.
package verify

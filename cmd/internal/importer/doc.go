// Package importer makes files of the blobs of a container: the name space of a file
// system that is lost, in a new one. The files are released. Nothing but their names
// and attributes is brought; the data come when somebody reads them, by a copytool
// that serves the same container.
//
// Nothing that exists is touched, neither in the file system nor in the container. A
// run that was interrupted, or another one after more blobs have come, finds what is
// there already and goes on.
//
// Owner, mode, times, attributes and striping are those in a blob's metadata: whoever
// may write to the container decides about them.
package importer

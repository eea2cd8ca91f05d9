// Package doctor looks at everything between a data mover and its container, and
// says of each thing whether it is well, what was seen, and how to mend it.
//
// What there is to look at is a list of [Check]s, made by [Checks] from the
// copytool's own configuration. [Run] runs those that do not depend on each other
// side by side. None may hang the whole: whatever has not answered within its time
// is a finding too. A stat on a file system whose servers are gone can hold its
// thread for good, and even its process after a SIGKILL, so a check that is given
// up goes on in the background, and whoever wants to be rid of it runs the checks
// in a process of their own.
//
// Nothing is left changed. A scratch file in the file system and a scratch blob in
// each container are made and removed again; nothing is registered with the
// coordinator, since that would take the registration away from a copytool that
// runs on the same mount.
package doctor

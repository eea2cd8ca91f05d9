// Package soak lets users, data movers, requests and troubles loose on a file
// system for as long as one likes, and knows at every moment what each file
// must contain.
//
//	users     write, append, truncate, rename, link, unlink, chmod, chown; each in
//	          a tree of its own, with a user id of its own
//	robots    archive, release, restore, remove and cancel whatever there is
//	readers   read files at random and compare every byte
//	troubles  kill and stop copytools, restart the blob server and the coordinator,
//	          inject faults between copytool and storage, and into Lustre
//
// The model is independent of the product: a file's bytes follow from seeds
// ([Run] is given the first one), and only who writes a file changes its model.
// Nothing that robots and troubles do may change what a reader sees. A read may
// fail, as long as the trouble lasts; it may never give other bytes.
//
// At the end the troubles stop. Then everything must come to rest within the
// time that is called a hang: each file is archived, compared with its blob
// byte by byte, released, restored and compared again; no action is open, no
// blob is without owner, no copytool holds memory, goroutines or descriptors
// that it did not hold at its start.
package soak

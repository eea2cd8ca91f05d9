// Package bench measures how fast a container takes blobs and gives them back, by
// the code that the copytool moves files with, and says which settings of the
// copytool that suggests.
//
// For each size and each number of requests in flight it writes blobs for a while
// and then reads them. All are scratch: they have names of their own below one
// random folder, are made under the condition that nothing has the name, and are
// deleted when their turn is over, however that ends. Only a SIGKILL leaves some.
//
// What is written is random, so that nobody on the way can compress it. What is read
// is checked like a restore, and dropped: no file system takes part.
package bench

package llapi

import "context"

// WaitReadable returns when there is a message in the pipe.
func (c *Copytool) WaitReadable(ctx context.Context) error { return c.waitReadable(ctx) }

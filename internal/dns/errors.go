package dns

import (
	"context"
	"errors"
	"net"
)

// notFound is the error for NXDOMAIN and for a name without records of the type.
func notFound(name string) *net.DNSError {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// temporary is the error when nobody could tell; why is short and names no server's address.
func temporary(name, why string) *net.DNSError {
	return &net.DNSError{Err: why, Name: name, IsTemporary: true}
}

// timeout is temporary with IsTimeout.
func timeout(name, why string) *net.DNSError {
	return &net.DNSError{Err: why, Name: name, IsTemporary: true, IsTimeout: true}
}

// canceled is the error when the caller's context ended first.
func canceled(ctx context.Context, name string) *net.DNSError {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return timeout(name, "time is up")
	}
	return temporary(name, "look-up canceled")
}

// named gives the error the name the caller used; errors are shared by all who asked, so it copies.
func named(err error, name string) error {
	if e, ok := err.(*net.DNSError); ok && e.Name != name { //nolint:errorlint // an asker's errors are bare
		c := *e
		c.Name = name
		return &c
	}
	return err
}

func isTemporary(err error) bool {
	e, ok := err.(*net.DNSError) //nolint:errorlint // an asker's errors are bare
	return ok && e.IsTemporary
}

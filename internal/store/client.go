package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"sekimori/internal/config"
)

const (
	defaultTimeout = 500 * time.Millisecond
	// localTimeout bounds a command of the embedded store, which may wait for a slow disk.
	localTimeout = 10 * time.Second
	poolSize     = 64
)

func timeout(c config.Redis) time.Duration {
	if d := c.Timeout.D(); d > 0 {
		return d
	}
	return defaultTimeout
}

// redisClient makes the client for Redis without connecting.
func redisClient(c config.Redis, b *breakers) (Client, error) {
	u, err := universal(c)
	if err != nil {
		return nil, err
	}
	if c.Password != "" {
		u.Password = string(c.Password)
	}
	bound(u, timeout(c))
	if len(c.Cluster) == 0 {
		client := redis.NewUniversalClient(u)
		client.AddHook(b.add("", func(ctx context.Context) error { return client.Ping(ctx).Err() }))
		return client, nil
	}
	cluster := u.Cluster()
	// One dead node is no reason not to ask the others.
	cluster.NewClient = func(o *redis.Options) *redis.Client {
		node := redis.NewClient(o)
		node.AddHook(b.add(o.Addr, func(ctx context.Context) error { return node.Ping(ctx).Err() }))
		return node
	}
	return redis.NewClusterClient(cluster), nil
}

// universal reads where Redis is.
func universal(c config.Redis) (*redis.UniversalOptions, error) {
	switch {
	case c.Sentinel != nil && (c.URL != "" || len(c.Cluster) > 0), c.URL != "" && len(c.Cluster) > 0:
		return nil, errors.New("url, sentinel and cluster exclude each other")
	case c.Sentinel != nil:
		if c.Sentinel.Master == "" || len(c.Sentinel.Addresses) == 0 {
			return nil, errors.New("sentinel needs master and addresses")
		}
		return &redis.UniversalOptions{MasterName: c.Sentinel.Master, Addrs: c.Sentinel.Addresses}, nil
	case len(c.Cluster) > 0:
		return &redis.UniversalOptions{Addrs: c.Cluster, IsClusterMode: true}, nil
	}
	o, err := redis.ParseURL(c.URL)
	if err != nil {
		// The URL may hold a password: it is not repeated, and the parser's error is made of its parts.
		return nil, fmt.Errorf("url is not of the form redis://[user:password@]host:port/0, rediss://… or unix://path: %s", cause(err))
	}
	return &redis.UniversalOptions{
		Addrs: []string{o.Addr}, DB: o.DB, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		Dialer: networkDialer(o.Network),
	}, nil
}

// cause is the inner reason of a url.Error, which would otherwise quote the whole URL.
func cause(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return "it cannot be read"
}

// networkDialer is nil for TCP, which go-redis dials itself; UniversalOptions has no place for "unix".
func networkDialer(network string) func(context.Context, string, string) (net.Conn, error) {
	if network != "unix" {
		return nil
	}
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", addr)
	}
}

// bound sets every time-out and switches off what would repeat or prolong a command.
func bound(u *redis.UniversalOptions, d time.Duration) {
	u.Protocol = 2 // what miniredis and every Redis agree on
	u.DisableIdentity = true
	u.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	u.ContextTimeoutEnabled = true
	u.MaxRetries = -1
	u.DialerRetries = 1
	u.DialTimeout, u.ReadTimeout, u.WriteTimeout, u.PoolTimeout = d, d, d, d
	u.PoolSize = poolSize
	u.ConnMaxIdleTime = 5 * time.Minute
}

func localClient(dial func(context.Context, string, string) (net.Conn, error)) Client {
	u := &redis.UniversalOptions{Addrs: []string{"embedded:0"}, Dialer: dial}
	bound(u, localTimeout)
	return redis.NewUniversalClient(u)
}

func socketDialer(path string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: time.Second}
		return d.DialContext(ctx, "unix", path)
	}
}

package config

import "time"

// maxDrainDelay is far more than a balancer needs to notice.
const maxDrainDelay = 10 * time.Minute

func (v *validator) drain() {
	if d := v.cfg.SMTP.DrainDelay.D(); d < 0 || d > maxDrainDelay {
		v.fail("smtp.drain_delay", "must be from 0s to %s", maxDrainDelay)
	}
}

package config

// landlock is how serve restricts itself: auto as far as the kernel can, off not at all, required not without.
func (v *validator) landlock() {
	v.oneOf("landlock", v.cfg.Landlock, "auto", "off", "required")
}

package config

// Section is one table of the configuration file that is decoded by its user, such as [filters.dnsbl]. The zero Section
// is an empty table.
type Section struct {
	load *document // nil: empty
	path []string
}

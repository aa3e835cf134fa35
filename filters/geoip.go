package filters

import "sekimori/internal/mail"

var geoipSpec = Spec{Name: "geoip", Stages: []mail.Stage{mail.Connect}}

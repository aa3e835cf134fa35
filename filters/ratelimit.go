package filters

import "sekimori/internal/mail"

var ratelimitSpec = Spec{Name: "ratelimit", Stages: []mail.Stage{mail.Connect}}

By0JSF@n@-N
@
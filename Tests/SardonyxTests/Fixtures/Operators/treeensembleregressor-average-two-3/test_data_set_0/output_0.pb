By0J0ff¦>ÍÌL>ff¦>âzT>p=ª>âzT>q=ª>âzT>ff¦>>
W>ff¦>š™Y>